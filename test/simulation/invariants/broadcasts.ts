/**
 * S38: what all are sent and what one alone is sent come in the order of the calls, and no connection is left out.
 *
 * Each message begins with its number; of one in fragments, those but the first have a + before it, those but the last … after it.
 */
import type { Peer } from '../peers.ts'
import { eachOf } from './invariant.ts'
import type { Invariant, Verdict } from './invariant.ts'

/** Name of what holds for the result of a broadcast; the world itself looks at it. */
export const COUNTED = 'a broadcast reaches the connections that match, and counts each once'

/** How far the frames of a peer were looked at, the number of the last message, and whether that goes on. */
const seen = new WeakMap<Peer, { frames: number, number: number, goesOn: boolean }>()

function inOrder (peer: Peer): Verdict {
  const { frames } = peer.socket
  const at = seen.get(peer) ?? { frames: 0, number: 0, goesOn: false }
  seen.set(peer, at)
  // After its close frame ws sends nothing.
  for (; at.frames < frames.length && frames[at.frames]!.type !== 'close'; at.frames++) {
    const frame = frames[at.frames]!
    if (frame.type !== 'message') continue
    const text = String(frame.data)
    const number = parseInt(text, 10)
    const follows = text.startsWith('+')
    if (follows !== at.goesOn || (follows ? number !== at.number : number <= at.number)) return `was sent ${text.slice(0, 10)} after ${at.number}${at.goesOn ? '…' : ''}`
    at.number = number
    at.goesOn = text.startsWith('…', `${follows ? '+' : ''}${number}`.length)
  }
  return undefined
}

export const broadcasts: readonly Invariant[] = [
  {
    name: 'messages are sent in the order of the calls',
    step: ({ peers }) => eachOf(peers, inOrder)
  },
  {
    name: 'a send that was replaced sees all messages',
    step: ({ live }) => eachOf(live, ({ replaced, socket: { frames } }) => {
      if (replaced === null) return undefined
      const sent = frames.slice(replaced.from).filter(({ type }) => type === 'message').length
      return sent !== replaced.seen && `was sent ${sent} messages, of which its own send has seen ${replaced.seen}`
    })
  },
  {
    name: COUNTED,
    end: ({ sending: { broadcasting } }) => broadcasting > 0 && `${broadcasting} broadcasts have not ended`
  }
]
