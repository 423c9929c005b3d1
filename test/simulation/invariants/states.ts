/**
 * One connection and the index of all: its states, its events, its messages.
 */
import type { Peer } from '../peers.ts'
import { eachOf } from './invariant.ts'
import type { Invariant } from './invariant.ts'

/** Not the list of the code under test. */
const ORDER = ['open', 'draining', 'closing', 'closed']

const furthest = new WeakMap<Peer, number>()
const heard = new WeakMap<Peer, string[]>()

export const states: readonly Invariant[] = [
  {
    name: 'states never go backwards',
    step: ({ peers }) => eachOf(peers, (peer) => {
      const state = ORDER.indexOf(peer.connection.state)
      const before = furthest.get(peer) ?? 0
      furthest.set(peer, Math.max(state, before))
      return state < before && `went back from ${ORDER[before]} to ${ORDER[state]}`
    })
  },
  {
    name: 'each connection opens and closes once',
    told (_, peer, event) {
      const events = heard.get(peer) ?? []
      heard.set(peer, events)
      if (events.includes(event)) return `${peer.name} was told twice to be ${event}`
      events.push(event)
      if (event === 'closed' && !events.includes('closing')) return `${peer.name} closed without closing`
      return event === 'draining' && events.includes('closing') && `${peer.name} drains after it began to close`
    },
    closed: (_, peer, record) => (record.id !== peer.connection.id || peer.closed) && `${peer.name} has a record that is not its own`,
    step: ({ peers }) => eachOf(peers, ({ connection, closed }) =>
      (connection.state === 'closed') !== closed && `is ${connection.state}, and was ${closed ? '' : 'not '}told to be closed`),
    end: ({ peers }) => eachOf(peers, (peer) => !peer.closed && `is ${peer.connection.state} at the end`)
  },
  {
    name: 'the index holds the connections that are not closed',
    step ({ tracker, live }) {
      if (tracker.size !== live.size) return `${tracker.size} connections are listed, ${live.size} are there`
      return eachOf(live, ({ connection }) => (tracker.get(connection.id) !== connection && 'is not found by its id') ||
        (connection.owner !== undefined && !tracker.list({ owner: connection.owner }).includes(connection) && 'is not found by its owner'))
    },
    closed: ({ tracker }, { name, connection }) => tracker.get(connection.id) !== undefined && `${name} has closed, and is found by its id`,
    end: ({ tracker, peers }) => eachOf(peers, ({ connection, closed }) => closed && tracker.get(connection.id) !== undefined && 'is still found by its id')
  },
  {
    name: 'the statistics of a route are those of its connections',
    step ({ tracker, live }) {
      const { open = 0, draining = 0, closing = 0 } = tracker.stats().routes['/'] ?? {}
      for (const [state, counted] of Object.entries({ open, draining, closing })) {
        const there = [...live].filter(({ connection }) => connection.state === state).length
        if (counted !== there) return `${counted} connections are counted as ${state}, ${there} are`
      }
      return undefined
    }
  },
  {
    name: 'messages come once and in order',
    step: ({ peers }) => eachOf(peers, ({ listened, consumed }) => {
      for (const messages of [listened, consumed]) {
        if (messages.length < 2) continue
        if (messages.some((message, index) => index > 0 && message <= messages[index - 1]!)) return `got messages ${messages.slice(-5).join(', ')}`
        // Only what is new is looked at next time.
        messages.splice(0, messages.length - 1)
      }
      return undefined
    })
  }
]
