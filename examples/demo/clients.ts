// The kinds of client in the crowd and their behaviour. Every client adds to the counts of its process.

import WebSocket from 'ws'
import { leaving, paths, type Kind, type Counts } from './protocol.ts'
import { openRawClient } from './raw-client.ts'
import { countEnd } from './counts.ts'

export interface Client {
  opened: Promise<void>
  ended: Promise<void>
  /** Starts the job of a busy client. */
  work? (): void
  /** Lets a client that did not read so far read its data. */
  read? (): void
}

const chatEvery = 100

export function openClient (kind: Kind, port: number, counts: Counts): Client {
  if (kind === 'silent' || kind === 'deaf') return openMisbehaving(kind, port, counts)

  const socket = new WebSocket(`ws://127.0.0.1:${port}${paths[kind]}`)
  const opened = new Promise<void>((resolve, reject) => {
    socket.once('open', () => { counts.open++; resolve() })
    socket.once('error', reject)
  })
  socket.on('error', () => {}) // After a reset 'close' follows, with 1006.
  const ended = new Promise<void>((resolve) => {
    socket.once('close', (code, reason) => {
      resolve()
      counts.open--
      countEnd(counts, kind, code, reason.toString())
    })
  })

  if (kind === 'chatty') chat(socket, counts)
  return { opened, ended, work: () => { if (kind === 'busy') startJob(socket, counts) } }
}

/**
 * Sends numbered messages and counts the replies, until the server announces its shutdown. readyState leaves OPEN when a
 * close frame or the end of the connection is seen, so no message is sent after that.
 */
function chat (socket: WebSocket, counts: Counts): void {
  const unanswered = new Set<string>()
  let number = 0
  let warned = false

  function say (): void {
    if (warned || socket.readyState !== WebSocket.OPEN) return
    const message = String(++number)
    unanswered.add(message)
    counts.messages.sent++
    socket.send(message)
  }

  socket.once('open', () => {
    // The clients start at random times.
    setTimeout(() => {
      const timer = setInterval(say, chatEvery)
      socket.once('close', () => clearInterval(timer))
    }, Math.random() * chatEvery)
  })
  socket.on('message', (message) => {
    const text = (message as Buffer).toString()
    if (text === leaving) warned = true
    else if (unanswered.delete(text)) counts.messages.answered++
  })
}

function startJob (socket: WebSocket, counts: Counts): void {
  const job = `job ${++counts.jobs.started}`
  socket.on('message', (reply) => {
    if ((reply as Buffer).toString() === `done: ${job}`) counts.jobs.answered++
  })
  socket.send(job)
}

/** Silent: reads on, but answers no close frame. Deaf: reads nothing until `read()` is called. */
function openMisbehaving (kind: Kind, port: number, counts: Counts): Client {
  const raw = openRawClient(port, paths[kind])
  const opened = raw.opened.then(() => {
    counts.open++
    if (kind === 'deaf') raw.pause()
  })
  const ended = raw.ended.then(({ code, reason }) => {
    counts.open--
    countEnd(counts, kind, code, reason)
  })
  return { opened, ended, read: () => raw.resume() }
}
