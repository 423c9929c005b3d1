// The kinds of client in the crowd and how each behaves. Every client counts into the tally of its process.

import WebSocket from 'ws'
import { leaving, paths, type Kind, type Tally } from './protocol.ts'
import { openRawClient } from './raw-client.ts'
import { countEnd } from './tally.ts'

export interface Client {
  opened: Promise<void>
  ended: Promise<void>
  /** Starts the job of a busy client. */
  work? (): void
  /** Lets a client that did not read so far read what is there. */
  read? (): void
}

const chatEvery = 100

export function openClient (kind: Kind, port: number, tally: Tally): Client {
  if (kind === 'silent' || kind === 'deaf') return openMisbehaving(kind, port, tally)

  const socket = new WebSocket(`ws://127.0.0.1:${port}${paths[kind]}`)
  const opened = new Promise<void>((resolve, reject) => {
    socket.once('open', () => { tally.open++; resolve() })
    socket.once('error', reject)
  })
  socket.on('error', () => {}) // A reset is an end like any other: 'close' follows, with 1006.
  const ended = new Promise<void>((resolve) => {
    socket.once('close', (code, reason) => {
      resolve()
      tally.open--
      countEnd(tally, kind, code, reason.toString())
    })
  })

  if (kind === 'chatty') chat(socket, tally)
  return { opened, ended, work: () => { if (kind === 'busy') startJob(socket, tally) } }
}

/**
 * Sends numbered messages and counts the replies, until the server says that it is leaving. readyState leaves OPEN
 * the moment a close frame or the end of the connection is seen, so whatever was sent was sent in good faith.
 */
function chat (socket: WebSocket, tally: Tally): void {
  const unanswered = new Set<string>()
  let number = 0
  let warned = false

  function say (): void {
    if (warned || socket.readyState !== WebSocket.OPEN) return
    const message = String(++number)
    unanswered.add(message)
    tally.messages.sent++
    socket.send(message)
  }

  socket.once('open', () => {
    // Not all in step.
    setTimeout(() => {
      const timer = setInterval(say, chatEvery)
      socket.once('close', () => clearInterval(timer))
    }, Math.random() * chatEvery)
  })
  socket.on('message', (message) => {
    const text = (message as Buffer).toString()
    if (text === leaving) warned = true
    else if (unanswered.delete(text)) tally.messages.answered++
  })
}

function startJob (socket: WebSocket, tally: Tally): void {
  const job = `job ${++tally.jobs.started}`
  socket.on('message', (reply) => {
    if ((reply as Buffer).toString() === `done: ${job}`) tally.jobs.answered++
  })
  socket.send(job)
}

/** Silent: reads on, but answers no close frame. Deaf: reads nothing at all until it is told to. */
function openMisbehaving (kind: Kind, port: number, tally: Tally): Client {
  const raw = openRawClient(port, paths[kind])
  const opened = raw.opened.then(() => {
    tally.open++
    if (kind === 'deaf') raw.pause()
  })
  const ended = raw.ended.then(({ code, reason }) => {
    tally.open--
    countEnd(tally, kind, code, reason)
  })
  return { opened, ended, read: () => raw.resume() }
}
