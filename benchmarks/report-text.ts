/**
 * What the report says in words: who was measured, how, and what each row means. A scenario, candidate or metric that is
 * not named here is shown all the same, without a word.
 */
import { PARTS } from './results.ts'

/** By name in the results, or by what the name begins with. */
export const CANDIDATES: Record<string, string> = {
  ours: 'this plugin, with its defaults: heartbeat and isolation of listeners on',
  before: 'this plugin at an earlier commit',
  bare: '@fastify/websocket, which this plugin stands in the place of',
  'bare recipe': 'the same, with the heartbeat of the README of `ws`',
  ws: '`ws` alone on a server of Node',
  'ws recipe': '`ws` alone, with the heartbeat of its README: a flag a socket, a timer that pings everyone',
  'Socket.IO': 'Socket.IO over WebSocket only, its own protocol on both sides',
  'uWebSockets.js': 'a server in C++ with bindings to Node, from a package that carries its binary',
  'raw writes': 'the least that JavaScript can do: one frame, made once, written to the raw socket of each client below `ws`, with no look at anything; *in slices*: of 2 ms, between turns of the event loop',
  floor: 'the kernel\'s floor: a program in C (`benchmarks/floor/floor.c`) that does the same traffic with epoll and does nothing else'
}

interface ScenarioText {
  /** What is done. */
  text: string
  /** What rows mean, by the beginning of their metric; the longest that fits. */
  metrics?: Record<string, string>
}

export const SCENARIOS: Record<string, ScenarioText> = {
  memory: {
    text: 'Connections that are open and idle, made with the headers of a browser. The handler is `(socket) => …` with a listener for messages, ' +
      'and nothing else, unless the row says otherwise: an `async` handler is suspended as long as the connection lives, and V8 keeps what it holds.',
    metrics: {
      heap: 'V8 heap after garbage collection, less what the server held without connections, by connection',
      resident: 'the same of the resident set of the process; it moves in pages and arenas, so it is rough. What the kernel holds for a socket is in neither'
    }
  },
  echo: {
    text: '32 of the connections send messages of 64 bytes and get them back, a fixed number at a time; the others are open and idle.',
    metrics: { CPU: 'of the server, by message echoed', wall: 'by message echoed, with all that are under way; the clients are part of it' }
  },
  heartbeat: {
    text: 'All connections are watched, with the same interval for each candidate; there are several beats. *All idle*: the clients do nothing but answer pings. ' +
      '*All active*: each client sends a message between any two looks; the CPU of those messages, measured in the same round without a heartbeat, is taken off. ' +
      'What is left of ours is smaller than the noise of the messages: it may be near 0, or below. The scenario in-process measures it.',
    metrics: {
      CPU: 'of the server, by connection and beat',
      'CPU of the messages': 'what was taken off',
      pings: 'how many were sent, by connection and beat',
      stall: 'the longest time for which the event loop did not turn, pauses of the garbage collector taken off'
    }
  },
  broadcast: {
    text: 'One message to everyone, several times, one after the other. Ours is `app.sockets.broadcast(data, \'all\')`; `ws` a loop of `send(string)`; ' +
      'Socket.IO `io.emit`; uWebSockets.js `publish`; raw writes a loop below `ws`, the least it could cost; the floor one `write(2)` of the same bytes a peer. ' +
      'Where a client sleeps, a write has to wake it, and all clients are one process here: who writes in one go finds it busy, who pauses between slices finds it asleep more often.',
    metrics: {
      CPU: 'of the server, by peer and message',
      wall: 'from the call until the last client has the message, by peer; the clients are part of it',
      stall: 'the longest time for which the event loop did not turn, pauses of the garbage collector taken off'
    }
  },
  close: {
    text: '`app.close()` with all connections open. *Cooperative*: every client answers the close frame. *1 % silent*: one in a hundred never answers; ' +
      '`ws` waits 30 s for those, this plugin `closeTimeout`, which is 2 s at most by default.',
    metrics: {
      total: 'from the call until the last client has seen the end of its connection',
      'close()': 'from the call until it has ended: `app.close()`, of `ws` that of its server. Bare tells its clients of the end first and does the rest of its work later, this plugin ends one connection after the other',
      CPU: 'of the server, by connection',
      stall: 'the longest time for which the event loop did not turn, pauses of the garbage collector taken off',
      codes: 'share of the clients that read a close frame with a code in it'
    }
  },
  handshakes: {
    text: 'Connections are opened, 64 at a time, and kept.',
    metrics: { CPU: 'of the server, by handshake', wall: 'by handshake, with 64 under way; the client is part of it' }
  },
  'in-process': {
    text: 'What hides in the noise of the network: frames are pushed into the server\'s socket and handshakes into its `upgrade` event through a stream in memory, ' +
      'without a kernel or a client. Both sides in turn, many times.',
    metrics: {
      added: 'median of the differences between ours and bare, pair by pair',
      message: 'from the bytes to the return of the listener, which sends it back where it is *echoed*',
      beat: 'what the plugin does by itself, while each of 18,500 peers sends a message between any two looks'
    }
  },
  'open-close': {
    text: 'Servers that are made, listen, and close, as a test suite does it hundreds of times; without a client and with one.'
  },
  profile: {
    text: 'Where the main thread\'s time goes, by whose code it was in when V8\'s profiler looked, every 500 µs; all at the greatest size, the code compiled before. ' +
      '*Native code* is system calls, above all, and what Node and V8 do in C++. *Waiting for events* is CPU time all the same: the kernel delivers packets meanwhile, and wakes up the thread. The rest is the benchmark\'s own. The profiler takes some per cent itself: ' +
      'what something costs is in the other tables, this one shows where. The profiles are left in `benchmarks/results/profiles`, to be opened with the developer tools of a browser.'
  }
}

/** What is behind a metric's name, by the part after the comma. */
const MEANINGS: Record<string, string> = {
  warm: 'the same, cooperative, after ten other servers with 1,000 connections each were opened and closed in the process. A server closes once, with code that has never run; of few connections that is much of the work',
  [PARTS.own]: 'the same, counting only the time in which the main thread had a core',
  [PARTS.collection]: 'the longest pause of the garbage collector'
}

/** What a metric of a scenario means, if that is known. */
export function meaning (scenario: string, metric: string): string | undefined {
  const part = Object.keys(MEANINGS).find((name) => metric.endsWith(`, ${name}`))
  if (part !== undefined) return MEANINGS[part]
  const known = SCENARIOS[scenario]?.metrics ?? {}
  const name = Object.keys(known).filter((beginning) => metric.startsWith(beginning)).sort((a, b) => b.length - a.length)[0]
  return name === undefined ? undefined : known[name]
}

/** Candidates with a description, the variants of one beneath its name. */
export function describe (candidate: string): string | undefined {
  return CANDIDATES[candidate] ?? CANDIDATES[candidate.split(/,| with /)[0]!]
}
