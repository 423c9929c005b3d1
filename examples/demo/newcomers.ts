// Clients that arrive while the server is leaving: a new handshake every 50 ms, and a note of what each one saw.

import WebSocket from 'ws'
import { knocking, paths, type Tally } from './protocol.ts'
import { countEnd, countKnock } from './tally.ts'

const patience = 3_000

/** Knocks for as long as `knocking.during` says; resolves when each attempt was refused, or let in and ended. */
export async function knockOnTheDoor (port: number, tally: Tally): Promise<void> {
  const attempts: Promise<void>[] = []
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      attempts.push(knock(port, tally))
      if (attempts.length < knocking.during / knocking.every) return
      clearInterval(timer)
      resolve()
    }, knocking.every)
  })
  await Promise.all(attempts)
}

function knock (port: number, tally: Tally): Promise<void> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${paths.newcomer}`)
    const timer = setTimeout(() => answer('no answer'), patience)
    let answered = false
    let accepted = false

    function answer (outcome: string): void {
      if (answered) return
      answered = true
      accepted = outcome === 'accepted'
      clearTimeout(timer)
      countKnock(tally, outcome)
      if (accepted) return
      socket.terminate()
      resolve()
    }

    socket.on('open', () => {
      tally.open++
      answer('accepted')
    })
    socket.on('unexpected-response', (_request, response) => {
      const later = response.headers['retry-after'] ? ' with Retry-After' : ''
      answer(`${response.statusCode}${later}`)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      answer(error.code === 'ECONNREFUSED' ? 'refused' : 'cut off')
    })
    socket.on('close', (code, reason) => {
      if (accepted) {
        tally.open--
        countEnd(tally, 'newcomer', code, reason.toString())
      }
      resolve()
    })
  })
}
