/**
 * The contract of a WebSocket class (contract.ts): over every class below, the class of the client has the same results. The rows where
 * a class below itself differs from the standard are listed.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { build } from 'esbuild'
import { WebSocket, WebSocketServer } from 'ws'
import { lifecycle } from '../../lib/client/index.ts'
import { openPage } from '../helpers/browser.ts'
import { missing } from '../helpers/optional.ts'
import { runContract } from './contract.ts'
import type { Outcome } from './contract.ts'

/** Where a class below differs from the standard. The class of the client does not. */
const DIFFERENT: Record<string, RegExp> = {
  ws: new RegExp([
    // Errors of its own, and fewer checks.
    '^(new|a subprotocol|close|a reason|send).* throws$', '^close\\("1000"\\)', '^close\\(4999, 5\\)', '^what is no string',
    // EventEmitter, and events of its own.
    '^a socket is an EventTarget', '^length of', '^open comes once', '^a message event', '^a handler', '^a close event has', '^handlers and', '^listeners:', '^stopImmediate',
    // CLOSING where others are CLOSED, or are silent.
    '^close\\(\\) while', '^a handshake that fails', '^a frame that breaks', '^no message is delivered',
    // 'nodebuffer'
    '^a new socket is', '^binary messages are Blobs'
  ].join('|')),
  node: new RegExp([
    '^binaryType can', '^handlers and listeners', '^a connection that is cut',
    // Node 22 fires no 'close' after a failed handshake.
    '\\.url$', '^a handshake that fails', '^close\\(\\) while CONNECTING', '^a frame that breaks'
  ].join('|'))
}

/** The server of the rows; it answers the offer of the client as the plugin does. */
async function serve (t: TestContext): Promise<{ url: string, reports: Promise<Record<string, Outcome[]>>, script: (text: string) => void }> {
  let script = ''
  let report!: (outcomes: Record<string, Outcome[]>) => void
  const reports = new Promise<Record<string, Outcome[]>>((resolve) => { report = resolve })
  const server = createServer((request, response) => {
    if (request.url === '/contract.js') response.setHeader('content-type', 'text/javascript').end(script)
    else if (request.method === 'POST') {
      let body = ''
      request.on('data', (chunk: Buffer) => { body += chunk.toString() })
      request.on('end', () => {
        report(JSON.parse(body) as Record<string, Outcome[]>)
        response.end()
      })
    } else response.setHeader('content-type', 'text/html').end('<!doctype html><script type="module" src="/contract.js"></script>')
  })
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (protocols) => [...protocols].find((protocol) => !protocol.startsWith('lifecycle.v1') && protocol !== 'other') ?? [...protocols][0]!
  })
  server.on('upgrade', (request, socket, head) => {
    const { pathname, searchParams } = new URL(request.url!, 'ws://server')
    if (pathname === '/hang') return
    if (pathname === '/refuse') socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    else if (pathname === '/reset') socket.destroy()
    else {
      sockets.handleUpgrade(request, socket, head, (connection) => {
        const code = searchParams.get('code')
        if (pathname === '/close') connection.close(code === null ? undefined : Number(code), searchParams.get('reason') ?? undefined)
        else if (pathname === '/cut') setImmediate(() => { connection.terminate() })
        else if (pathname === '/broken') socket.write(Buffer.from([0xff, 0x00]))
        else if (pathname === '/burst') {
          connection.send('one')
          connection.send('two')
          connection.close(1000, 'done')
        } else connection.on('message', (data, isBinary) => { connection.send(data, { binary: isBinary }) })
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const client of sockets.clients) client.terminate()
    server.close()
    server.closeAllConnections()
  })
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, reports, script: (text) => { script = text } }
}

function check (name: string, outcomes: Outcome[]): void {
  const failed = outcomes.filter(({ expected, observed }) => expected !== observed)
  assert.ok(outcomes.length > 50)
  assert.equal(failed.length, 0, failed.map(({ title, expected, observed }) => `\n${name}: ${title}\n  expected ${expected}\n  observed ${observed}`).join(''))
}

/** Rows that the class cannot keep over a class below: Node 24 does not tell a server that breaks the protocol from a cut. */
const OUT_OF_REACH: Record<string, RegExp | undefined> = { node: Number(process.versions.node.split('.')[0]) >= 24 ? /^a frame that breaks/ : undefined }

const classes: Record<string, unknown> = { ws: WebSocket, node: (globalThis as { WebSocket?: unknown }).WebSocket }

for (const [name, Base] of Object.entries(classes)) {
  const skip = Base === undefined && 'this Node has no WebSocket of its own'

  test(`${name} keeps the contract, but for the rows listed`, { skip }, async (t) => {
    const { url } = await serve(t)
    check(name, await runContract({ Socket: Base, url }, DIFFERENT[name]))
  })

  test(`the class over ${name} keeps the contract`, { skip }, async (t) => {
    const { url } = await serve(t)
    check(`over ${name}`, await runContract({ Socket: lifecycle(Base as never), url }, OUT_OF_REACH[name]))
  })
}

test('in Chromium, in a page and in a Worker, its WebSocket and the class over it keep the contract', { skip: missing('chromium') }, async (t) => {
  const { url, reports, script } = await serve(t)
  const { outputFiles } = await build({
    stdin: {
      contents: `
        import { lifecycle } from '../../lib/client/index.ts'
        import { runContract } from './contract.ts'
        const url = 'ws://' + location.host
        const run = async (place) => ({
          [place + 'WebSocket']: await runContract({ Socket: WebSocket, url }),
          [place + 'the class']: await runContract({ Socket: lifecycle(WebSocket), url })
        })
        if (typeof document === 'undefined') postMessage(await run('Worker: '))
        else {
          const inPage = await run('page: ')
          const worker = new Worker('/contract.js', { type: 'module' })
          const inWorker = await new Promise((resolve) => { worker.onmessage = ({ data }) => { resolve(data) } })
          await fetch('/', { method: 'POST', body: JSON.stringify({ ...inPage, ...inWorker }) })
        }`,
      resolveDir: import.meta.dirname,
      loader: 'ts'
    },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022'
  })
  script(outputFiles[0]!.text)
  await openPage(t, `${url.replace('ws', 'http')}/`)
  const outcomes = await reports
  assert.deepEqual(Object.keys(outcomes).toSorted(), ['Worker: WebSocket', 'Worker: the class', 'page: WebSocket', 'page: the class'])
  for (const [name, results] of Object.entries(outcomes)) check(`Chromium, ${name}`, results)
})
