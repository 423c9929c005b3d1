/**
 * All connections of the load client: opens them, sends messages, and counts frames and closes.
 */
import { monotonicMicros } from '../monotonic.ts'
import type { Counts, EchoOptions, Ends, LoadControl, OpenOptions } from './control.ts'
import { Peer } from './peer.ts'
import type { PeerHost } from './peer.ts'

/** Milliseconds between two batches of messages. */
const TALK_STEP = 5
/** Bytes of a message of a client that only keeps active. */
const WORD = 16

interface Deferred<T> { promise: Promise<T>, resolve: (value: T) => void }

export class Crowd implements PeerHost, LoadControl {
  readonly #peers = new Set<Peer>()
  readonly #counts: Counts = { open: 0, frames: 0, bytes: 0, pings: 0 }
  #ends: Ends = { codes: {}, lastAt: 0 }
  #opening: (() => void) | null = null
  #expected = Infinity
  #arrival = defer<{ lastAt: number }>()
  #exodus: Deferred<Ends> | null = null
  #left = 0
  #expectedEnds = Infinity
  #ended = defer<{ lastAt: number }>()
  #echo: { message: Buffer, toSend: number } | null = null
  #talking: NodeJS.Timeout | null = null

  async open ({ port, count, parallel, dialect, silent, owner, tag }: OpenOptions): Promise<{ startedAt: number, endedAt: number }> {
    const startedAt = monotonicMicros()
    const all = this.#counts.open + count
    let started = 0
    const done = defer<void>()
    const next = () => {
      const query = [...owner === undefined ? [] : [`owner=${owner}${started}`], ...tag === undefined ? [] : [`tag=${tag}`]].join('&')
      this.#peers.add(new Peer(this, port, dialect, started++ < silent, query))
    }
    this.#opening = () => {
      if (started < count) next()
      else if (this.#counts.open === all) done.resolve()
    }
    while (started < Math.min(parallel, count)) next()
    await done.promise
    this.#opening = null
    return { startedAt, endedAt: monotonicMicros() }
  }

  counts (): Counts { return { ...this.#counts } }

  expect (frames: number): void {
    this.#expected = this.#counts.frames + frames
    this.#arrival = defer()
  }

  reached (): Promise<{ lastAt: number }> { return this.#arrival.promise }

  expectEnds (count: number): void {
    this.#expectedEnds = this.#left + count
    this.#ended = defer()
  }

  endsReached (): Promise<{ lastAt: number }> { return this.#ended.promise }

  talk (period: number): void {
    if (this.#talking !== null) clearInterval(this.#talking)
    this.#talking = null
    if (period === 0) return
    const peers = [...this.#peers]
    const word = peers[0]!.message(WORD)
    const startedAt = performance.now()
    let said = 0
    this.#talking = setInterval(() => {
      // By the time that has passed, not by the number of steps, because timers are late.
      const due = Math.floor((performance.now() - startedAt) / period * peers.length)
      while (said < due) peers[said++ % peers.length]!.write(word)
    }, TALK_STEP)
  }

  async echo ({ busy, inFlight, bytes, messages }: EchoOptions): Promise<{ startedAt: number, endedAt: number }> {
    const peers = [...this.#peers].slice(0, busy)
    this.#echo = { message: peers[0]!.message(bytes), toSend: messages }
    this.expect(messages)
    const startedAt = monotonicMicros()
    for (let i = 0; i < inFlight; i++) for (const peer of peers) this.#sendEcho(peer)
    const { lastAt } = await this.reached()
    this.#echo = null
    return { startedAt, endedAt: lastAt }
  }

  #sendEcho (peer: Peer): void {
    const echo = this.#echo!
    if (echo.toSend === 0) return
    echo.toSend--
    peer.write(echo.message)
  }

  ended (): Promise<Ends> {
    this.#exodus ??= defer()
    if (this.#peers.size === 0) this.#exodus.resolve(this.#ends)
    return this.#exodus.promise
  }

  async drop (): Promise<void> {
    this.talk(0)
    const gone = this.ended()
    for (const peer of this.#peers) peer.reset()
    await gone
    this.#exodus = null
    this.#ends = { codes: {}, lastAt: 0 }
  }

  // ——— events of peers

  opened (): void {
    this.#counts.open++
    this.#opening?.()
  }

  data (peer: Peer, bytes: number): void {
    const counts = this.#counts
    counts.bytes += bytes
    if (++counts.frames === this.#expected) this.#arrival.resolve({ lastAt: monotonicMicros() })
    if (this.#echo !== null) this.#sendEcho(peer)
  }

  pinged (): void { this.#counts.pings++ }

  left (peer: Peer, code: number): void {
    this.#peers.delete(peer)
    if (++this.#left === this.#expectedEnds) this.#ended.resolve({ lastAt: monotonicMicros() })
    if (peer.isOpen) this.#counts.open--
    else if (this.#opening !== null) throw new Error('a connection ended before it was open')
    this.#ends.codes[code] = (this.#ends.codes[code] ?? 0) + 1
    if (this.#peers.size > 0) return
    this.#ends.lastAt = monotonicMicros()
    this.#exodus?.resolve(this.#ends)
  }
}

function defer<T> (): Deferred<T> {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}
