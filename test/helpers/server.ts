/**
 * Real servers and real clients for the integration tests: a Fastify app on a port of its own, ws clients that keep what
 * they receive, raw clients that do only what a test says, and the check that nothing is left behind.
 *
 * `start` registers its own end with `t.after`: clients are cut off, the app is closed, and `assertClean` runs, so every
 * test ends with 0 connections, 0 timers and 0 open TCP sockets without asking for it.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import type { TestContext } from 'node:test'
import tls from 'node:tls'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyListenOptions, FastifyServerOptions } from 'fastify'
import { systemClock } from '../../lib/base/clock.ts'
import type { Timer } from '../../lib/base/clock.ts'
import plugin from '../../lib/index.ts'
import type { DrainReport, LifecycleOptions } from '../../lib/index.ts'
import { assertClean as assertAppClean } from '../../lib/testing/assert-clean.ts'
import type { TestClock } from '../../lib/testing/clock.ts'
import { connect as connectToApp, open } from '../../lib/testing/connect.ts'
import type { Closed, ConnectOptions, TestClient } from '../../lib/testing/connect.ts'

/** One line of the log. */
export interface LogLine { level: number, msg: string, time: number, [key: string]: unknown }

/** An app with what the helper knows of it. */
export type TestApp = FastifyInstance & {
  /** Everything logged so far, from level debug up. */
  logs: LogLine[]
  /** Reports of its drains: one, or none yet. */
  reports: DrainReport[]
}

/** What `start` can be told beside the plugin's options. */
export interface StartOptions {
  /** Options of the Fastify instance; `https`, `http2` and `serverFactory`, too. */
  fastify?: FastifyServerOptions & Record<string, unknown>
  /** Where to listen; false: not at all. */
  listen?: FastifyListenOptions | false
  /** Runs before the plugin is registered. */
  before?: (app: FastifyInstance) => unknown
}

// ——— timers of ours: everything in lib/ makes them through this one object

const armed = new Map<Timer, string>()
const { setTimeout: setClockTimeout, clearTimeout: clearClockTimeout } = systemClock

systemClock.setTimeout = (callback, delay) => {
  const timer = setClockTimeout(() => { armed.delete(timer); callback() }, delay)
  armed.set(timer, `${delay} ms, ${new Error('armed').stack?.split('\n').slice(2, 5).map((line) => line.trim()).join(' ')}`)
  return timer
}
systemClock.clearTimeout = (timer) => {
  armed.delete(timer)
  clearClockTimeout(timer)
}

/** Timers of the plugin that are armed now, with where each was armed. */
export function timersOfOurs (): string[] {
  return [...armed.values()]
}

// ——— how long drains take

const { setInterval, clearInterval } = globalThis

/** Milliseconds of one beat of running time. */
const BEAT = 10

/** Milliseconds that each drain took: of running time, of which a beat that is late counts as one, and of CPU time. */
const drains = new WeakMap<DrainReport, { running: number, cpu: number }>()

function measureDrain (app: FastifyInstance): void {
  app.sockets.on('drain', () => {
    const before = process.cpuUsage()
    let beats = 0
    const beat = setInterval(() => { beats++ }, BEAT).unref()
    app.sockets.on('drained', (report) => {
      clearInterval(beat)
      const { user, system } = process.cpuUsage(before)
      drains.set(report, { running: beats * BEAT, cpu: (user + system) / 1_000 })
    })
  })
}

// ——— the server

interface Known {
  /** Cut off the clients that helpers here have connected. */
  cutters: Set<() => void>
  /** Server side of every TCP connection, of secondary servers too once they ask for an upgrade. */
  sockets: Set<Socket>
}

const known = new WeakMap<FastifyInstance, Known>()

/** Apps that are not closed yet: their connections have timers of right. */
const running = new Set<FastifyInstance>()

function knownOf (app: FastifyInstance): Known {
  const entry = known.get(app)
  assert.ok(entry, 'this app was not made by start()')
  return entry
}

/**
 * A bare app: nothing registered, not listening. Its end is registered: clients are cut off, it is closed, and
 * `assertClean` runs.
 */
export function create (t: TestContext, fastify: StartOptions['fastify'] = {}): TestApp {
  const logs: LogLine[] = []
  const reports: DrainReport[] = []
  const app = Fastify({
    logger: { level: 'debug', stream: { write: (line: string) => { logs.push(JSON.parse(line) as LogLine) } } },
    ...fastify
  } as FastifyServerOptions) as unknown as TestApp
  Object.assign(app, { logs, reports })
  const entry: Known = { cutters: new Set(), sockets: new Set() }
  known.set(app, entry)
  running.add(app)
  const keep = (socket: Socket) => {
    if (typeof socket.once !== 'function' || entry.sockets.has(socket)) return
    entry.sockets.add(socket)
    socket.once('close', () => { entry.sockets.delete(socket) })
  }
  app.server.on('connection', keep)
  // Secondary servers (host 'localhost') pass nothing else on. Not an 'upgrade' listener: the plugin would warn about it.
  const { emit } = app.server
  app.server.emit = function (this: unknown, event: string, ...args: unknown[]) {
    if (event === 'upgrade' && args[1] instanceof net.Socket) keep(args[1])
    return Reflect.apply(emit, this, [event, ...args]) as boolean
  } as typeof emit
  t.after(async () => {
    for (const cut of entry.cutters) cut()
    await within(60_000, app.close(), 'app.close() did not settle')
    running.delete(app)
    await assertClean(app)
  })
  return app
}

/**
 * An app with the plugin, configured and, unless told otherwise, listening on a free port of 127.0.0.1. An app is a
 * thenable: awaiting `start` has loaded its plugins, also with `listen: false`.
 */
export async function start (
  t: TestContext,
  options: LifecycleOptions = {},
  configure?: (app: TestApp) => unknown,
  { fastify, listen = {}, before }: StartOptions = {}
): Promise<TestApp> {
  const app = create(t, fastify)
  await before?.(app)
  await app.register(plugin, options)
  app.sockets.on('drained', (report) => { app.reports.push(report) })
  measureDrain(app)
  await configure?.(app)
  if (listen !== false) await app.listen(listen.path === undefined ? { port: 0, host: '127.0.0.1', ...listen } : listen)
  return app
}

/** Port an app listens on. */
export function portOf (app: FastifyInstance): number {
  return (app.server.address() as AddressInfo).port
}

/** Whether the app speaks TLS. */
function isSecure (app: FastifyInstance): boolean {
  return 'setSecureContext' in app.server
}

/** The report of the drain that an app has been through; checks that it kept its own promises. */
export function reportOf (app: TestApp): DrainReport {
  assert.equal(app.reports.length, 1, `expected one drain, there were ${app.reports.length}`)
  const report = app.reports[0]!
  assertConsistent(report)
  return report
}

/** Numbers of a report that must add up, whatever happened. */
export function assertConsistent (report: DrainReport): void {
  const { connections: { total, clean, leftByThemselves, terminated, unfinished, causes }, work, phases } = report
  const text = JSON.stringify(report)
  assert.equal(clean + terminated + unfinished, total, `clean + terminated + unfinished ≠ total: ${text}`)
  assert.ok(leftByThemselves <= clean, text)
  assert.equal(Object.values(causes).reduce((sum, count) => sum + count, 0), clean + terminated, `causes do not add up: ${text}`)
  assert.equal(work.finished + work.abandoned, work.inFlight, text)
  for (const [what, count] of Object.entries({ total, clean, leftByThemselves, terminated, unfinished, ...work })) {
    assert.ok(count >= 0, `${what} is negative: ${text}`)
  }
  const inPhases = Object.values(phases).reduce((sum, duration) => sum + duration, 0)
  assert.ok(Math.abs(inPhases - report.duration) < 1, `phases take ${inPhases} ms: ${text}`)
}

/**
 * Checks that a drain ended within its own timeout: in running time, and in CPU time of this process, so that neither a
 * busy machine nor a timer that fires late because of it counts. The slack is for what a test does meanwhile.
 */
export function assertBounded (report: DrainReport, slack = 1_000): void {
  const took = drains.get(report)
  assert.ok(took, 'this drain was not measured: its app was not made by start()')
  for (const [what, time] of Object.entries(took)) {
    assert.ok(time <= report.timeout + slack, `took ${time} ms ${what} of ${report.timeout}: ${JSON.stringify(report)}`)
  }
}

/**
 * Nothing is left: no connection, index entry, deadline or work, no timer, and, once the app was closed, no TCP socket.
 * While it is open, `sockets` TCP connections may be there.
 */
export async function assertClean (app: TestApp, { sockets = 0 }: { sockets?: number } = {}): Promise<void> {
  if ([...running].every((other) => other === app)) assert.deepEqual(timersOfOurs(), [], 'timers of the plugin are left')
  const { sockets: left } = knownOf(app)
  const alive = () => [...left].filter(({ destroyed }) => !destroyed)
  if (app.server.listening) await until(() => alive().length <= sockets, `${sockets} TCP connections`)
  assert.ok(alive().length <= sockets, `TCP connections are left: ${alive().map(({ remotePort }) => remotePort).join(', ')}`)
  await assertAppClean(app, { sockets })
}

/** Resolves when a condition holds; for what has no event. Fails after a minute, as what hangs must fail its own test. */
export async function until (condition: () => unknown, what = 'the condition'): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!condition()) {
    assert.ok(performance.now() < deadline, `waited a minute for ${what}`)
    await new Promise((resolve) => { setTimeout(resolve, 5) })
  }
}

/** Lets the time of a test pass until this holds, in small steps: what is sent meanwhile arrives. */
export async function passUntil (clock: TestClock, condition: () => boolean): Promise<void> {
  while (!condition()) await clock.tick(10)
}

/** Lets the time of a test pass until its app is closed. */
export async function passUntilClosed (clock: TestClock, closing: Promise<unknown>): Promise<void> {
  let closed = false
  const end = () => { closed = true }
  closing.then(end, end)
  await passUntil(clock, () => closed)
  await closing
}

/** The promise, or a failure when it does not settle in time: a hang must fail its own test, by name. */
export async function within<T> (time: number, promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(new Error(`${what} (${time} ms)`)) }, time)
  })
  return Promise.race([promise, late]).finally(() => { clearTimeout(timer) })
}

/** Lines of the log whose message matches. */
export function logged (app: TestApp, message: RegExp): LogLine[] {
  return app.logs.filter(({ msg }) => message.test(msg ?? ''))
}

// ——— ws clients

export type { Closed, TestClient }

/** A ws client whose handshake is done. Rejects with the `status` when it was refused. */
export async function connect (_t: TestContext, app: FastifyInstance, path: string, options: ConnectOptions = {}): Promise<TestClient> {
  const { cutters } = knownOf(app)
  const client = await connectToApp(app, path, options)
  const cut = () => { client.socket.terminate() }
  cutters.add(cut)
  void client.closed.then(() => { cutters.delete(cut) })
  return client
}

/** A ws client of a server in another process; it is cut off when the test is over. */
export async function connectTo (t: TestContext, url: string, options: Omit<ConnectOptions, 'to'> = {}): Promise<TestClient> {
  const client = await open(url, options)
  t.after(() => { client.socket.terminate() })
  return client
}

// ——— raw clients

/** Opcodes of RFC 6455 §5.2. */
export const Opcode = { Continuation: 0, Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 } as const

/** A frame the server has sent. */
export interface Frame { fin: boolean, opcode: number, payload: Buffer }

/** The server's answer to a request. */
export interface Answer { status: number, headers: Map<string, string> }

/** A TCP connection that does nothing by itself: no pong, no answer to a close frame, no FIN in answer to one. */
export class RawClient {
  readonly socket: Socket
  /** The answer to the handshake; rejects when the connection ends first. */
  readonly answer: Promise<Answer>
  /** Frames not yet taken with `frame`. */
  readonly frames: Frame[] = []
  /** What came after a refusal's head. */
  body = ''
  /** Resolves when the server has ended TCP, or TCP is gone, with the error if there was one. Never rejects. */
  readonly ended: Promise<Error | undefined>
  #buffer: Buffer = Buffer.alloc(0)
  #upgraded = false
  #answered = false
  #over = false
  #waiting: Array<{ resolve: (frame: Frame) => void, reject: (error: Error) => void }> = []

  constructor (socket: Socket) {
    this.socket = socket
    let resolveAnswer!: (answer: Answer) => void
    let rejectAnswer!: (error: Error) => void
    this.answer = new Promise((resolve, reject) => { resolveAnswer = resolve; rejectAnswer = reject })
    this.answer.catch(() => {})
    let error: Error | undefined
    socket.on('error', (cause) => { error = cause })
    this.ended = new Promise((resolve) => {
      const over = () => {
        this.#over = true
        const reason = error ?? new Error('the connection ended')
        rejectAnswer(reason)
        for (const { reject } of this.#waiting.splice(0)) reject(reason)
        resolve(error)
      }
      socket.once('end', over)
      socket.once('close', over)
    })
    socket.on('data', (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk])
      if (!this.#answered) this.#readHead(resolveAnswer)
      if (this.#upgraded) this.#readFrames()
      else if (this.#answered) this.body += this.#take(this.#buffer.length).toString()
    })
  }

  /** Writes bytes as they are. */
  write (bytes: string | Buffer): void { this.socket.write(bytes) }

  /** Sends a masked frame (RFC 6455 §5.3). */
  send (opcode: number, payload: string | Buffer = '', { fin = true, rsv = 0 }: { fin?: boolean, rsv?: number } = {}): void {
    this.socket.write(maskedFrame(opcode, payload, { fin, rsv }))
  }

  /** Sends a close frame. */
  sendClose (code?: number, reason = ''): void {
    const payload = code === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)])
    this.send(Opcode.Close, payload)
  }

  /** The next frame; rejects when the connection ends first. */
  frame (): Promise<Frame> {
    const frame = this.frames.shift()
    if (frame !== undefined) return Promise.resolve(frame)
    if (this.#over) return Promise.reject(new Error('the connection ended'))
    return new Promise((resolve, reject) => { this.#waiting.push({ resolve, reject }) })
  }

  /** The next close frame; others before it are skipped. 1005 where it has no code. */
  async closeFrame (): Promise<Closed> {
    for (;;) {
      const { opcode, payload } = await this.frame()
      if (opcode !== Opcode.Close) continue
      return payload.length < 2 ? { code: 1005, reason: '' } : { code: payload.readUInt16BE(0), reason: payload.toString('utf8', 2) }
    }
  }

  /** Stops reading: the kernel's buffers fill up. */
  pause (): void { this.socket.pause() }
  resume (): void { this.socket.resume() }
  /** Ends our half of TCP. */
  end (): void { this.socket.end() }
  /** Closes TCP without a word of WebSocket. */
  destroy (): void { this.socket.destroy() }
  /** Sends RST. */
  reset (): void { this.socket.resetAndDestroy() }

  #take (length: number): Buffer {
    const taken = this.#buffer.subarray(0, length)
    this.#buffer = this.#buffer.subarray(length)
    return taken
  }

  #readHead (resolve: (answer: Answer) => void): void {
    const end = this.#buffer.indexOf('\r\n\r\n')
    if (end === -1) return
    this.#answered = true
    const [first = '', ...lines] = this.#take(end + 4).toString('latin1').trimEnd().split('\r\n')
    const status = Number(first.split(' ')[1])
    this.#upgraded = status === 101
    resolve({ status, headers: new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()])) })
  }

  #readFrames (): void {
    for (;;) {
      const buffer = this.#buffer
      if (buffer.length < 2) return
      let length = buffer[1]! & 127
      let head = 2
      if (length === 126) {
        if (buffer.length < 4) return
        length = buffer.readUInt16BE(2)
        head = 4
      } else if (length === 127) {
        if (buffer.length < 10) return
        length = Number(buffer.readBigUInt64BE(2))
        head = 10
      }
      if (buffer.length < head + length) return
      const frame = { fin: (buffer[0]! & 128) !== 0, opcode: buffer[0]! & 15, payload: Buffer.from(buffer.subarray(head, head + length)) }
      this.#take(head + length)
      const first = this.#waiting.shift()
      if (first === undefined) this.frames.push(frame)
      else first.resolve(frame)
    }
  }
}

/** Bytes of a frame as a client sends it. */
export function maskedFrame (opcode: number, payload: string | Buffer = '', { fin = true, rsv = 0 }: { fin?: boolean, rsv?: number } = {}): Buffer {
  const data = Buffer.from(payload as string)
  const mask = randomBytes(4)
  const head = data.length < 126
    ? Buffer.from([0, 128 | data.length])
    : data.length < 65_536 ? Buffer.from([0, 128 | 126, data.length >> 8, data.length & 255]) : Buffer.concat([Buffer.from([0, 128 | 127]), lengthOf(data)])
  head[0] = (fin ? 128 : 0) | (rsv << 4) | opcode
  return Buffer.concat([head, mask, data.map((byte, i) => byte ^ mask[i % 4]!)])
}

function lengthOf (data: Buffer): Buffer {
  const length = Buffer.alloc(8)
  length.writeBigUInt64BE(BigInt(data.length))
  return length
}

/** The head of a handshake as a client sends it. */
export function handshake (path: string, headers: Record<string, string> = {}): string {
  const all = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...headers
  }
  return `GET ${path} HTTP/1.1\r\n${Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

/** A TCP connection (TLS where the app speaks it) on which nothing was said yet. */
export async function rawTcp (_t: TestContext, app: FastifyInstance, to = '127.0.0.1'): Promise<RawClient> {
  const port = portOf(app)
  const secure = isSecure(app)
  const socket = secure
    ? tls.connect({ port, host: to, rejectUnauthorized: false })
    : net.connect({ port, host: to, allowHalfOpen: true })
  const client = new RawClient(socket)
  const { cutters } = knownOf(app)
  const cut = () => { socket.destroy() }
  cutters.add(cut)
  socket.once('close', () => { cutters.delete(cut) })
  await once(socket, secure ? 'secureConnect' : 'connect')
  return client
}

/** A raw client that has sent its handshake and got no answer yet: `client.answer`. */
export async function rawHandshake (t: TestContext, app: FastifyInstance, path: string, headers: Record<string, string> = {}): Promise<RawClient> {
  const client = await rawTcp(t, app)
  client.write(handshake(path, headers))
  return client
}

/** A raw client whose handshake is done. */
export async function rawConnect (t: TestContext, app: FastifyInstance, path: string, headers: Record<string, string> = {}): Promise<RawClient> {
  const key = randomBytes(16).toString('base64')
  const client = await rawHandshake(t, app, path, { 'Sec-WebSocket-Key': key, ...headers })
  const { status, headers: answered } = await client.answer
  assert.equal(status, 101)
  assert.equal(answered.get('sec-websocket-accept'), createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64'))
  return client
}
