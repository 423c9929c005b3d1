// Clients that connect while the server shuts down: a new handshake every 50 ms. The outcome of each is counted.

import WebSocket from 'ws'
import { lateClients, paths, type Counts } from './protocol.ts'
import { countEnd, countAttempt } from './counts.ts'

const patience = 3_000

/** Opens clients for `lateClients.during` milliseconds. Resolves when each was refused, or was admitted and has ended. */
export async function openLateClients (port: number, counts: Counts): Promise<void> {
  const attempts: Promise<void>[] = []
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      attempts.push(attempt(port, counts))
      if (attempts.length < lateClients.during / lateClients.every) return
      clearInterval(timer)
      resolve()
    }, lateClients.every)
  })
  await Promise.all(attempts)
}

function attempt (port: number, counts: Counts): Promise<void> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${paths.late}`)
    const timer = setTimeout(() => answer('no answer'), patience)
    let answered = false
    let accepted = false

    function answer (outcome: string): void {
      if (answered) return
      answered = true
      accepted = outcome === 'accepted'
      clearTimeout(timer)
      countAttempt(counts, outcome)
      if (accepted) return
      socket.terminate()
      resolve()
    }

    socket.on('open', () => {
      counts.open++
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
        counts.open--
        countEnd(counts, 'late', code, reason.toString())
      }
      resolve()
    })
  })
}
