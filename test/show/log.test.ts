import assert from 'node:assert/strict'
import test from 'node:test'
import type { Connection } from '../../lib/connection/connection.ts'
import type { LifecycleOptions } from '../../lib/options/options.ts'
import { logEvents } from '../../lib/show/log.ts'
import { LineBudget } from '../../lib/base/line-budget.ts'
import { LogLimiter } from '../../lib/base/log-limiter.ts'
import type { LoggedReport } from '../../lib/show/logged-report.ts'
import { startForeign } from '../helpers/foreign-server.ts'
import { createJob } from '../helpers/job.ts'
import { connect, start, until } from '../helpers/server.ts'
import { createTracker } from '../helpers/tracker-rig.ts'
import type { LogLine, TrackerRig } from '../helpers/tracker-rig.ts'

function createLogged (options: LifecycleOptions = {}, level?: string): TrackerRig {
  const rig = createTracker(options, level)
  logEvents(rig.tracker, rig.log, new LogLimiter(rig.clock, rig.log, rig.budget), rig.budget)
  return rig
}

test('a drain is three lines at info', async () => {
  const { tracker, open, clock, lines } = createLogged({}, 'info')
  open()
  open()
  const drained = tracker.startDrain('SIGTERM')
  await clock.flush()
  const report = await drained
  assert.deepEqual(lines, [
    { level: 'info', bindings: {}, fields: { trigger: 'SIGTERM', connections: 2, timeout: 8_000 }, message: 'draining sockets' },
    { level: 'info', bindings: {}, fields: { connections: 2 }, message: 'no new sockets; closing those that are open' },
    { level: 'info', bindings: {}, fields: { report }, message: 'sockets drained' }
  ])
})

test('the second line of a drain comes when settling is over', async () => {
  const { tracker, open, clock, messages } = createLogged({ drain: { settleDelay: 2_000 } }, 'info')
  open()
  void tracker.startDrain('SIGTERM')
  await clock.run(1_999)
  assert.deepEqual(messages('info'), ['draining sockets'])
  await clock.run(1)
  assert.deepEqual(messages('info'), ['draining sockets', 'no new sockets; closing those that are open', 'sockets drained'])
})

test('a drain without connections is logged at debug only', async () => {
  const { tracker, messages } = createLogged()
  await tracker.startDrain('SIGTERM')
  assert.deepEqual(messages('info'), [])
  assert.deepEqual(messages('debug'), ['draining sockets', 'no new sockets; closing those that are open', 'sockets drained'])
})

test('a drain that began without connections, and met one, is logged at info', async () => {
  const { tracker, open, clock, messages } = createLogged({ drain: { settleDelay: 2_000 } }, 'info')
  void tracker.startDrain('SIGTERM')
  await clock.run(1_000)
  open()
  await clock.run(1_000)
  assert.equal(tracker.state, 'drained')
  assert.ok(messages('info').includes('sockets drained'))
})

test('progress of a drain is a line every 5 s', async () => {
  const { tracker, open, clock, lines, messages } = createLogged({ drain: { timeout: 20_000, settleDelay: 4_000 } }, 'info')
  const { connection } = open()
  void connection.track(createJob().promise)
  connection.defer(() => new Promise(() => {}))
  void tracker.startDrain('SIGTERM')
  await clock.run(20_000)
  const progress = lines.filter(({ fields }) => 'progress' in fields)
  assert.deepEqual(progress.map(({ level, message }) => [level, message]), progress.map(() => ['info', 'draining sockets']))
  const elapsed = progress.map(({ fields }) => (fields.progress as { elapsed: number }).elapsed)
  assert.equal(elapsed.length, 3)
  for (const [i, at] of elapsed.entries()) assert.ok(at >= 5_000 * (i + 1) && at <= 5_000 * (i + 1) + 250 * (i + 1), `${elapsed}`)
  assert.equal(messages('info').length, 6)
})

test('a long drain has seven lines of progress at most', async () => {
  const { tracker, open, clock, lines } = createLogged({ drain: { timeout: 600_000 } }, 'info')
  open().connection.defer(() => new Promise(() => {}))
  void open().connection.track(new Promise(() => {}))
  void tracker.startDrain('SIGTERM')
  await clock.run(600_000)
  const progress = lines.filter(({ fields }) => 'progress' in fields)
  assert.ok(progress.length >= 3 && progress.length <= 7, `${progress.length}`)
})

/** Bytes of a line as pino writes it, but for its own fields. */
const lengthOf = ({ bindings, fields, message }: object & LogLine) => Buffer.byteLength(JSON.stringify({ ...bindings, ...fields, msg: message }))

test('a drain logs 20 lines of 4 KB at most, however much goes wrong in it, and says what it did not log', async () => {
  const { tracker, open, clock, lines } = createLogged({
    drain: { timeout: 60_000, reason: () => { throw new Error('no reason') } },
    cleanupTimeout: 1_000,
    onDrain: () => { throw new Error('not now') }
  }, 'info')
  tracker.on('closed', () => { throw new Error('listener') })
  for (let i = 0; i < 1_000; i++) {
    const { connection } = open({ route: `/${'long'.repeat(50)}` })
    connection.defer(function release () { return new Promise(() => {}) })
    connection.defer(() => { throw new Error('broken') })
    void connection.track(Promise.reject(new Error('lost'))).catch(() => {})
  }
  void open().connection.track(new Promise(() => {}))
  void tracker.startDrain('SIGTERM')
  await clock.run(60_000)
  const report = await tracker.startDrain('SIGTERM')
  assert.equal(report.cleanups.abandoned.length, 1_000, 'the report has them all')
  assert.ok(lines.length <= 20, `${lines.length} lines`)
  const longest = Math.max(...lines.map(lengthOf))
  assert.ok(longest <= 4_096, `${longest} bytes`)
  const logged = lines.at(-1)!.fields['report'] as LoggedReport
  assert.equal(logged.cleanups.abandoned.length + logged.cleanups.notShown!, 1_000)
  const suppressed = lines.at(-2)!.fields['suppressed'] as Record<string, number>
  const told = (message: string) => (suppressed[message] ?? 0) + lines.filter((line) => line.message === message).length
  for (const message of ['cleanup failed', 'cleanup given up: it did not settle in time', 'tracked work failed']) assert.equal(told(message), 1_000, message)
  for (const message of ['onDrain failed', 'drain.reason failed', 'listener of "closed" failed']) assert.equal(told(message), 1_001, message)
})

test('before and after a drain every line is logged', async () => {
  const { tracker, open, clock, messages } = createLogged({}, 'info')
  const fail = async () => {
    for (let i = 0; i < 20; i++) void open().connection.track(Promise.reject(new Error('lost'))).catch(() => {})
    await clock.flush()
  }
  await fail()
  assert.equal(messages('warn').length, 20)
  void tracker.startDrain('SIGTERM')
  await clock.run(8_000)
  await fail()
  assert.equal(messages('warn').length, 40)
})

test('a drain that is over has no progress line at its end', async () => {
  const { tracker, open, clock, messages } = createLogged({ drain: { timeout: 5_000 } }, 'info')
  open().connection.defer(() => new Promise(() => {}))
  void tracker.startDrain('SIGTERM')
  await clock.run(5_000)
  assert.equal(tracker.state, 'drained')
  assert.deepEqual(messages('info'), ['draining sockets', 'no new sockets; closing those that are open', 'sockets drained'])
})

test('a drain that lasts less than 5 s has no progress line', async () => {
  const { tracker, open, clock, messages } = createLogged({ drain: { timeout: 4_900 } }, 'info')
  open({ peer: 'silent' }).connection.defer(() => new Promise(() => {}))
  void tracker.startDrain('SIGTERM')
  await clock.run(4_900)
  assert.equal(tracker.state, 'drained')
  assert.equal(messages('info').length, 3)
})

test('opens and closes are told at debug', async () => {
  const { tracker, open, clock, lines } = createLogged()
  const { connection, socket } = open({ route: '/chat' })
  socket.peerCloses(1001, 'bye')
  await clock.flush()
  assert.deepEqual(lines, [
    { level: 'debug', bindings: {}, fields: { connection: connection.id, route: '/chat' }, message: 'socket open' },
    { level: 'debug', bindings: {}, fields: { connection: connection.id, summary: 'closed by its client after 0 ms with 1001', record: tracker.history[0] }, message: 'socket closed' }
  ])
})

test('at info opens and closes are not told, nor put together', async () => {
  const { tracker, log, open, clock } = createTracker({}, 'info')
  let called = 0
  logEvents(tracker, { ...log, debug: () => { called++ } } as typeof log, new LogLimiter(clock, log), new LineBudget())
  open().socket.rawGone()
  await clock.flush()
  assert.equal(called, 0)
})

test('at trace they are told as well', async () => {
  const { open, messages } = createLogged({}, 'trace')
  open()
  assert.deepEqual(messages('debug'), ['socket open'])
})

test('no line has an owner, an address or what a client may write', async () => {
  const { tracker, open, clock, lines } = createLogged({ drain: { settleDelay: 100 } }, 'trace')
  open({ owner: 'ann', ip: '192.0.2.1' }).socket.peerCloses(4_000, 'a\nforged line \u001b[31m')
  open({ owner: 'ann', ip: '192.0.2.1' }).connection.defer(() => new Promise(() => {}))
  await clock.flush()
  void tracker.startDrain('SIGTERM')
  await clock.run(8_000)
  const text = JSON.stringify(lines.map(({ bindings, fields, message }) => ({ bindings, fields, message })))
  assert.doesNotMatch(text, /ann|192\.0\.2\.1/)
  for (const { fields } of lines) {
    const reason = (fields.record as { reason?: string } | undefined)?.reason ?? ''
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    assert.doesNotMatch(reason, /[\u0000-\u001f]/)
  }
})

test('closes by a policy are told at warn with id, route and duration, and never more than the gate lets pass', async () => {
  const rig = createLogged({ heartbeat: { interval: 1_000, maxMissed: 1 } })
  const pairs = Array.from({ length: 60 }, () => rig.open({ peer: 'silent', route: '/feed', owner: 'ann', ip: '10.0.0.1' }))
  await rig.clock.run(5_000)
  const warned = rig.lines.filter(({ level }) => level === 'warn')
  assert.ok(warned.length > 0 && warned.length < pairs.length, `${warned.length} lines`)
  const [first] = warned
  assert.equal(first?.message, 'a peer was dead and its socket was destroyed')
  assert.deepEqual(Object.keys(first?.fields ?? {}).sort(), ['connection', 'duration', 'route', 'summary'])
  assert.match(String(first?.fields['summary']), /^closed by the heartbeat after \d s: no answer to a ping for \d s$/)
  assert.equal(first?.fields['route'], '/feed')
  assert.doesNotMatch(JSON.stringify(warned), /ann|10\.0\.0\.1/)
})

for (const [what, message, act] of [
  ['idle', 'an idle socket was closed', (connection: Connection) => { connection.idleTimeout = 100 }],
  ['expired', 'a socket was closed: its session has expired', (connection: Connection) => { connection.expiresAt = 2e11 }],
  ['lifetime', 'a socket was closed at the end of its lifetime', (connection: Connection) => { connection.maxLifetime = 1 }]
] as const) {
  test(`a close with cause ${what} is told at warn`, async () => {
    const rig = createLogged()
    const { connection } = rig.open()
    act(connection)
    await rig.clock.run(1_000)
    assert.deepEqual([connection.state, rig.messages('warn')], ['closed', [message]])
  })
}

test('closes by a client, the application or the network are no warning', async () => {
  const rig = createLogged()
  rig.open().socket.peerCloses(1000)
  void rig.open().connection.close()
  rig.open().socket.rawGone()
  await rig.clock.run(1_000)
  assert.deepEqual([rig.tracker.size, rig.messages('warn')], [0, []])
})

test('the audit is a line of a child logger for each act, at warn where it failed', () => {
  const { tracker, open, lines } = createLogged({}, 'info')
  const { connection } = open()
  tracker.disconnect({ id: connection.id }, { by: 'eve', why: 'spam' })
  assert.throws(() => tracker.disconnect({}))
  void tracker.drain({ by: 'eve' })
  const bindings = { audit: true }
  assert.deepEqual(lines.filter((line) => 'audit' in line.bindings), [
    { level: 'info', bindings, fields: { action: 'disconnect', by: 'eve', why: 'spam', target: { id: connection.id }, outcome: 'done', connections: 1 }, message: 'audit: disconnect done' },
    { level: 'warn', bindings, fields: { action: 'disconnect', target: {}, outcome: 'failed', connections: 0, error: 'SOCKETS_ERR_INVALID_FILTER' }, message: 'audit: disconnect failed' },
    { level: 'info', bindings, fields: { action: 'drain', by: 'eve', target: 'all', outcome: 'started', connections: 1 }, message: 'audit: drain started' }
  ])
})

test('in a drain three acts are logged, whatever else is, and the others are counted', async () => {
  const { tracker, open, clock, lines } = createLogged({}, 'info')
  for (let i = 0; i < 20; i++) open().connection.defer(() => { throw new Error('broken') })
  void open().connection.track(new Promise(() => {}))
  void tracker.drain({ by: 'ops' })
  await clock.run(2_000)
  assert.equal(lines.filter(({ message }) => message === 'cleanup failed').length, 5)
  for (let i = 0; i < 10; i++) tracker.disconnect({ id: i }, { by: `ann ${i}` })
  await clock.run(8_000)
  const acts = lines.filter((line) => 'audit' in line.bindings)
  assert.deepEqual(acts.map(({ fields }) => fields['by']), ['ops', 'ann 0', 'ann 1', 'ann 2'])
  const suppressed = lines.find(({ fields }) => 'suppressed' in fields)!.fields['suppressed'] as Record<string, number>
  assert.deepEqual(suppressed, { 'cleanup failed': 15, 'audit: disconnect': 7 })
  tracker.disconnect('all', { by: 'eve' })
  assert.equal(lines.at(-1)!.fields['by'], 'eve', 'after the drain each is logged')
})

for (const [what, text] of [['of four bytes and in quotes', '\u{10ffff}"'], ['that are escaped', '\u202e\u0000'], ['of three bytes', '\uffff'], ['that are half a pair', '\ud800']] as const) {
  test(`acts in a drain are few lines, and none is longer than 4 KB: characters ${what}`, async () => {
    const { tracker, open, clock, lines, messages } = createLogged({}, 'info')
    const long = text.repeat(1_000)
    for (let i = 0; i < 100; i++) open().connection.defer(() => { tracker.disconnect({ owner: long, tag: long, route: long, state: 'open' }, { by: long, why: long }) })
    const invalid = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`${i}${long}`, long]))
    assert.throws(() => tracker.disconnect(invalid as never, { by: long, why: long }))
    void tracker.drain()
    await clock.run(8_000)
    assert.ok(lines.length <= 20, `${lines.length} lines`)
    const longest = Math.max(...lines.map(lengthOf))
    assert.ok(longest > 1_000 && longest <= 4_096, `${longest} bytes`)
    const [suppressed] = lines.filter(({ fields }) => 'suppressed' in fields)
    assert.deepEqual(suppressed!.fields['suppressed'], { 'audit: disconnect': 100 - messages('info').filter((message) => message === 'audit: disconnect done').length })
  })
}

test('a long drain with all that may be logged in it has 20 lines', async () => {
  const { tracker, open, clock, lines } = createLogged({ drain: { timeout: 600_000 } }, 'info')
  for (let i = 0; i < 20; i++) open().connection.defer(() => { throw new Error('broken') })
  open().connection.defer(() => new Promise(() => {}))
  void open().connection.track(new Promise(() => {}))
  void tracker.drain()
  for (let i = 0; i < 10; i++) void tracker.drain()
  await clock.run(600_000)
  assert.equal(tracker.state, 'drained')
  assert.equal(lines.filter((line) => 'audit' in line.bindings).length, 4)
  assert.ok(lines.length > 14 && lines.length <= 20, `${lines.length} lines`)
})

test('who has asked for a close, and why, are in the audit only', async () => {
  const { tracker, open, clock, lines } = createLogged({ history: { keep: ['owner', 'ip'] } })
  const { connection } = open({ owner: 'ann', ip: '192.0.2.1' })
  tracker.disconnect({ id: connection.id }, { by: 'eve', why: 'spam' })
  await clock.flush()
  assert.deepEqual(tracker.history.map(({ owner, ip, by, why }) => [owner, ip, by, why]), [['ann', '192.0.2.1', 'eve', 'spam']])
  const [closed] = lines.filter(({ message }) => message === 'socket closed')
  assert.doesNotMatch(JSON.stringify(closed), /\bann\b|192\.0|\beve\b|spam/)
})

test('no line is long because of a path or a request id that a client has chosen', async (t) => {
  const foreign = await startForeign(t)
  foreign.server.on('connection', (socket) => { socket.on('message', () => { throw new Error('no') }) })
  const long = 'x'.repeat(7_000)
  const app = await start(t, { options: { verifyClient: ({ req }: { req: { url: string } }) => { if (req.url.includes(long)) throw new Error('no'); return true } } as never }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', () => { throw new Error('no') }) })
    app.sockets.adopt(foreign.server)
  }, { fastify: { requestIdHeader: 'x-request-id' } })
  await assert.rejects(connect(t, app, `/?${long}`))
  await assert.rejects(connect(t, app, `/${long}`))
  const own = await connect(t, app, '/', { headers: { 'x-request-id': long } })
  const [faulty, breaking] = [await foreign.connect(`/${long}`), await foreign.connect(`/${long}`)]
  own.socket.send('fault')
  faulty.socket.send('fault')
  // A frame of a reserved kind (RFC 6455 §5.2).
  ;(breaking.socket as unknown as { _socket: { write (data: Buffer): void } })._socket.write(Buffer.from([0x83, 0x80, 0, 0, 0, 0]))
  await until(() => app.sockets.size === 0)
  assert.deepEqual(app.logs.filter(({ level }) => level > 30).map(({ msg }) => msg).toSorted(), [
    'a handshake failed: verifyClient, handleProtocols or a listener of the ws server has thrown',
    'a peer broke the WebSocket protocol',
    'handler or listener of a socket failed',
    'handler or listener of a socket failed'
  ])
  // Fastify's own lines about requests have the whole of both.
  for (const line of app.logs.filter(({ level, reqId }) => level > 30 || reqId === undefined)) assert.ok(JSON.stringify({ ...line, err: undefined }).length < 1_000, JSON.stringify(line).slice(0, 300))
})
