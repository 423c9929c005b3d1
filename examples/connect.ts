// A small client for the terminal. It sends the lines you type and prints the messages it gets. When the server closes, it
// prints the code, waits for the delay in the close reason (`retry=`), and reconnects.
//
//   node --import ./scripts/typescript.js examples/connect.ts [url]

import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import WebSocket from 'ws'

const url = process.argv[2] ?? `ws://localhost:${process.env.PORT ?? 3000}/echo`
/** Codes that tell a client to reconnect; 1006 is a connection that ended without a close frame. */
const reconnectCodes = [1001, 1005, 1006, 1012, 1013]
const attempts = 10
const defaultDelay = 1_000

let socket: WebSocket | undefined
let leaving = false
/** Lines typed while there was no connection; sent with the next one. */
const unsent: string[] = []
const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: '> ' })

terminal.on('line', (line) => {
  if (line) unsent.push(line)
  sendLines()
  if (process.stdin.isTTY) terminal.prompt()
})
// Ctrl-C, Ctrl-D, or the end of a pipe.
terminal.on('close', () => {
  if (leaving || (!unsent.length && socket?.readyState !== WebSocket.OPEN)) process.exit()
  leaving = true
  sendLines()
})

for (let attempt = 1; attempt <= attempts; attempt++) {
  const { opened, code, reason } = await stayConnected()
  if (opened) attempt = 0
  else if (attempt === 1) show(`no answer from ${url}. Is it running? npm start`)
  if (opened) show(`closed: ${code}${reason && ` "${reason}"`}`)
  if (!reconnectCodes.includes(code)) break

  const delay = Number(/\bretry=(\d+)/.exec(reason)?.[1] ?? defaultDelay)
  if (opened) show(`reconnecting in ${(delay / 1_000).toFixed(1)} s`)
  await sleep(delay)
}
process.exit()

/** Connects. Resolves when the connection has ended, or could not be opened. */
function stayConnected (): Promise<{ opened: boolean, code: number, reason: string }> {
  return new Promise((resolve) => {
    const current = socket = new WebSocket(url)
    let opened = false
    current.on('open', () => {
      opened = true
      show(`connected to ${url}. Type a line; Ctrl-C leaves.`)
      sendLines()
    })
    current.on('message', (message) => show(`< ${(message as Buffer).toString()}`))
    current.on('error', () => {}) // 'close' follows, with 1006.
    current.on('close', (code, reason) => resolve({ opened, code, reason: reason.toString() }))
  })
}

/** Sends the typed lines, then closes if the input has ended. */
function sendLines (): void {
  if (socket?.readyState !== WebSocket.OPEN) return
  for (const line of unsent.splice(0)) socket.send(line)
  if (leaving) socket.close(1000, 'goodbye')
}

/** Prints above the line being typed. */
function show (text: string): void {
  process.stdout.write(process.stdout.isTTY ? `\r\x1b[2K${text}\n` : `${text}\n`)
  if (process.stdin.isTTY && !leaving) terminal.prompt(true)
}
