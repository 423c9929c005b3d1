/**
 * The texts of the report: the candidates, the scenarios, and the meaning of each row. A scenario, candidate or metric that is
 * not named here appears without a text.
 */
import { PARTS } from './results.ts'

/** Candidates by their name in the results, or by its beginning. */
export const CANDIDATES: Record<string, string> = {
  ours: 'this plugin, with its defaults: heartbeat and isolation of listeners on',
  before: 'this plugin at an earlier commit',
  bare: '@fastify/websocket, which this plugin replaces',
  'bare recipe': 'the same, with the heartbeat of the README of `ws`',
  ws: '`ws` alone on a server of Node',
  'ws recipe': '`ws` alone, with the heartbeat of its README: a flag a socket, a timer that pings all clients',
  'Socket.IO': 'Socket.IO over WebSocket only, its own protocol on both sides',
  'uWebSockets.js': 'a server in C++ with bindings to Node, from a package that carries its binary',
  'raw writes': 'the minimum in JavaScript: one frame, created once, written to the raw socket of each client below `ws`, without any checks; *in slices*: of 2 ms, between turns of the event loop',
  floor: 'the kernel\'s floor: a program in C (`benchmarks/floor/floor.c`) that does only the same traffic with epoll'
}

interface ScenarioText {
  /** What the scenario does. */
  text: string
  /** Meanings of rows, by the longest matching beginning of their metric. */
  metrics?: Record<string, string>
}

export const SCENARIOS: Record<string, ScenarioText> = {
  memory: {
    text: 'Connections that are open and idle, opened with the headers of a browser. The handler is `(socket) => …` with only a listener for messages, ' +
      'unless the row says otherwise: an `async` handler is suspended as long as the connection lives, and V8 keeps what it holds.',
    metrics: {
      heap: 'V8 heap per connection after garbage collection, less the heap of the server without connections',
      resident: 'the same for the resident set of the process; it grows by pages and arenas, so it is rough. Neither includes the memory of the kernel for a socket'
    }
  },
  echo: {
    text: '32 of the connections send messages of 64 bytes and get them back, a fixed number at a time. The others are open and idle.',
    metrics: { CPU: 'of the server, per echoed message', wall: 'per echoed message, with all of them under way; the clients are included' }
  },
  heartbeat: {
    text: 'All connections are watched for several beats, with the same interval for each candidate. *All idle*: the clients only answer pings. ' +
      '*All active*: each client sends a message between any two checks; the CPU of those messages, measured in the same round without a heartbeat, is subtracted. ' +
      'The remainder of this plugin is smaller than the noise of the messages, so it can be near 0 or below. The scenario in-process measures it.',
    metrics: {
      CPU: 'of the server, per connection and beat',
      'CPU of the messages': 'what was subtracted',
      pings: 'the number sent, per connection and beat',
      stall: 'the longest time without a turn of the event loop, without pauses of the garbage collector'
    }
  },
  broadcast: {
    text: 'One message to all clients, several times, one after the other. This plugin uses `app.sockets.broadcast(data, \'all\')`, `ws` a loop of `send(string)`, ' +
      'Socket.IO `io.emit`, uWebSockets.js `publish`, raw writes a loop below `ws`, and the floor one `write(2)` of the same bytes per peer. ' +
      'A write to a client that sleeps must wake it, and all clients are one process here: a candidate that writes without pauses finds it busy, one that pauses between slices finds it asleep more often.',
    metrics: {
      CPU: 'of the server, per peer and message',
      wall: 'from the call until the last client has the message, per peer; the clients are included',
      stall: 'the longest time without a turn of the event loop, without pauses of the garbage collector'
    }
  },
  close: {
    text: '`app.close()` with all connections open. *Cooperative*: every client answers the close frame. *1 % silent*: one in a hundred never answers; ' +
      '`ws` waits 30 s for those, this plugin `closeTimeout`, which is at most 2 s by default.',
    metrics: {
      total: 'from the call until the last client has seen the end of its connection',
      'close()': 'from the call until it resolves: `app.close()`, for `ws` the close of its server. Bare sends all close frames first and does the rest of its work later; this plugin closes one connection after the other',
      CPU: 'of the server, per connection',
      stall: 'the longest time without a turn of the event loop, without pauses of the garbage collector',
      codes: 'share of the clients that read a close frame with a code'
    }
  },
  deploy: {
    text: 'Three servers behind nginx, restarted one after the other: SIGTERM, the end of the process, a new one, until it listens, and 5 s until the next. Meanwhile every client gets 5 messages a second, which are ' +
      'published to rooms of 50 clients, and sends a question every 10 s, which is answered. Counted is what an application on partysocket sees: over the client class of this plugin, with ' +
      '`dedupe`, or by itself, with the defaults of partysocket. *Beside the class*: the fifth of the clients that has partysocket alone, while the others have the class.',
    metrics: {
      'without a connection': 'the time between each `close` event and the next `open`, added up; of the client for which it was longest, and on average',
      'longest pause between messages': 'of any client; it should get one every 200 ms',
      'messages lost': 'published messages that never came',
      'messages twice': 'messages that came more than once',
      'questions without an answer': 'partysocket keeps questions while there is no connection; those are sent with the next one',
      'close events': '`close` events in the application',
      'messages published': 'messages that each client should have had',
      'time of all restarts': 'from each SIGTERM until the next process listens, added up'
    }
  },
  fleet: {
    text: 'Ten nodes on one Redis, all in processes of their own on this machine; each has a tenth of the connections. One node asks, and medians are given. Socket.IO has no counts and no pages: it is asked ' +
      'for the sockets of a room, and for all. Of this plugin also: orders to 500 owners for each 1,000 connections, while Redis is killed and comes back empty after 3 s, and clients come back as soon as they are closed; and the ' +
      'costs of a connection, in-process, with the option `fleet` and without it in turn.',
    metrics: {
      'connections of an owner': '`fleet.count({ owner })`; for Socket.IO `io.in(owner).fetchSockets()`',
      'where an owner is': '`fleet.presence(owner)`',
      'page of connections': '`fleet.list({ state: \'open\' }, { limit: 50 })`, for which all nodes are asked; for Socket.IO `io.fetchSockets()`, which is all of them',
      'number of nodes': '`fleet.nodes.length`, which is what the last beat said; for Socket.IO `serverCount()`, which asks Redis',
      'broadcast to a tag': 'of 64 KiB, from the call until the last of 100 clients on two nodes has it',
      'nodes that a broadcast reaches': 'nodes to which Redis has sent the message',
      'disconnect of an owner': 'from the call until its client, on another node, is gone',
      'answer with a frozen node': 'the longest time until an answer or an error, while one of the nodes is stopped by SIGSTOP',
      'answers that name it': 'answers that name the frozen node as missing',
      'answers that name another': 'answers that name a node that is not frozen: it was too busy to answer within 250 ms',
      'killed node out of the view': 'from SIGKILL until no other node knows it. The adapters ask Redis how many connections listen, so they see it at once where the kernel ends the connection; of a machine that is gone they see nothing',
      'its owners told offline': 'owners of the killed node for which one of the others got `offline` with `here`, once; *twice*: more than once',
      'orders until all are carried out': 'from the moment at which Redis listens again; 120 s at most',
      'orders given before the outage': 'calls that were answered before Redis was killed, if only in part: their order is kept for nodes that have not answered',
      'orders rejected': 'calls that were rejected while Redis was away; each was given again',
      'added to a connection': 'CPU of the node for an owner, until it is counted in Redis; *in Redis*: CPU of Redis for it. Where they come one a millisecond, a call has 100 of them and finds caches and processors asleep',
      'added to a handshake by': 'median of the differences between `limits.perOwner` with `scope: \'fleet\'` and with `scope: \'node\'`'
    }
  },
  'fleet-leave': {
    text: 'Eight servers behind HAProxy, as in [the guide](../guides/deploy.md#proxies-and-load-balancers); three get SIGTERM at the same moment. Half of the clients have the client class of this plugin below partysocket, ' +
      'the others partysocket alone. `drain.reconnect.rate` is a thirtieth of the clients that leave. Without a fleet each server keeps this rate by itself.',
    metrics: {
      'turns in the busiest second': 'connections that clients of the class opened on the servers that stay, and clients of partysocket alone that were closed, in the second with the most of both: what the servers that leave decide. *Of the rate*: divided by `drain.reconnect.rate`',
      'arrivals in the busiest second': 'connections opened on the servers that stay, in the second with the most. Clients of partysocket alone come back at random, 1 to 5 s after their close frame',
      arrivals: 'connections opened on the servers that stay, from the first SIGTERM on',
      'without a connection': 'as in the scenario deploy',
      'close events': '`close` events in the application'
    }
  },
  handshakes: {
    text: 'Connections are opened, 64 at a time, and kept.',
    metrics: { CPU: 'of the server, per handshake', wall: 'per handshake, with 64 under way; the client is included' }
  },
  'in-process': {
    text: 'Costs that are smaller than the noise of the network: frames are pushed into the server\'s socket and handshakes into its `upgrade` event through a stream in memory, ' +
      'without a kernel or a client. Both candidates run in turn, many times.',
    metrics: {
      added: 'median of the differences between this plugin and bare, pair by pair',
      message: 'from the bytes to the return of the listener, which sends the message back if it is *echoed*',
      beat: 'the work of the plugin itself, while each of 18,500 peers sends a message between any two checks'
    }
  },
  'open-close': {
    text: 'Servers that are created, listen, and close, as in a test suite, hundreds of times; without a client and with one.'
  },
  scrape: {
    text: 'A registry of `prom-client` writes the text of all metrics of this plugin, while the connections are open and idle; the time of the main thread.',
    metrics: {
      'first scrape': 'with code that has never run',
      scrape: 'median of a hundred scrapes, after two hundred others',
      'longest scrape': 'of the hundred; a pause of the garbage collector is a part of it, and so is time in which another process had the core'
    }
  },
  profile: {
    text: 'The time of the main thread by the code it was in when V8\'s profiler sampled it, every 500 µs; all at the greatest size, with code compiled before. ' +
      '*Native code* is mainly system calls, and code of Node and V8 in C++. *Waiting for events* is CPU time too: the kernel delivers packets meanwhile, and wakes the thread. The rest belongs to the benchmark. The profiler itself takes a few per cent: ' +
      'the other tables have the costs, this one shows where they arise. The profiles are kept in `benchmarks/results/profiles`, for the developer tools of a browser.'
  }
}

/** Meanings of the part of a metric's name after the comma. */
const MEANINGS: Record<string, string> = {
  warm: 'the same, cooperative, after ten other servers with 1,000 connections each were opened and closed in the process. A server closes once, with code that has never run, which is much of the work for few connections',
  [PARTS.own]: 'the same, counting only the time in which the main thread had a core',
  [PARTS.collection]: 'the longest pause of the garbage collector'
}

/** The meaning of a metric of a scenario, or undefined. */
export function meaning (scenario: string, metric: string): string | undefined {
  const part = Object.keys(MEANINGS).find((name) => metric.endsWith(`, ${name}`))
  if (part !== undefined) return MEANINGS[part]
  const known = SCENARIOS[scenario]?.metrics ?? {}
  const name = Object.keys(known).filter((beginning) => metric.startsWith(beginning)).sort((a, b) => b.length - a.length)[0]
  return name === undefined ? undefined : known[name]
}

/** The description of a candidate, or of the one it is a variant of. */
export function describe (candidate: string): string | undefined {
  return CANDIDATES[candidate] ?? CANDIDATES[candidate.split(/,| with /)[0]!]
}
