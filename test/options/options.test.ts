import assert from 'node:assert/strict'
import test from 'node:test'
import { systemClock } from '../../lib/base/clock.ts'
import { POLICIES } from '../../lib/track/observation.ts'
import { defaults } from '../../lib/options/defaults.ts'
import type { LifecycleOptions } from '../../lib/options/options.ts'
import { resolveOptions, resolveRouteOptions } from '../../lib/options/resolve.ts'

/** Options as JavaScript users may write them. */
function resolve (given: object): ReturnType<typeof resolveOptions> {
  return resolveOptions(given as LifecycleOptions)
}

const noop = () => undefined

const SETTINGS = {
  heartbeat: { interval: 25_000, maxMissed: 2 },
  idleTimeout: false,
  maxLifetime: false,
  messageRate: false,
  backpressure: { maxStallTime: 300_000, maxBufferedBytes: false, policy: 'close' }
}

// ——— defaults

test('without options everything has its default', () => {
  const { plan, clock, ...options } = resolveOptions()
  assert.equal(clock, systemClock)
  assert.deepEqual(options, {
    websocket: { options: undefined, errorHandler: undefined, preClose: undefined },
    owner: undefined,
    data: undefined,
    onOpen: undefined,
    onDrain: undefined,
    drain: { code: 1012, reason: 'service restart', reconnect: { rate: 200, minDelay: 1_000, maxDelay: 60_000 }, spread: 'auto', takeover: false, move: true, farewells: false },
    reconnectCeiling: Infinity,
    retryDelay: 1_000,
    closeTimeout: 1_600,
    cleanupTimeout: 5_000,
    signals: false,
    readiness: false,
    history: { size: 256, owner: false, ip: false },
    isolation: true,
    errorCode: 1011,
    settings: SETTINGS,
    limits: { total: false, perOwner: false, perAddress: false, pressure: false, handshakes: false, handshakeTimeout: 10_000 },
    allowedOrigins: 'report',
    refusal: 'http',
    modes: Object.fromEntries(POLICIES.map((policy) => [policy, 'enforce'])),
    fleet: undefined,
    onOutage: 'local'
  })
  assert.equal(plan.timeout, 8_000)
  assert.equal(plan.reserve, 5_000)
})

test('undefined means the default, for every option', () => {
  const nothing = {
    owner: undefined,
    data: undefined,
    onOpen: undefined,
    onDrain: undefined,
    drain: {
      timeout: undefined,
      terminationGracePeriod: undefined,
      preStop: undefined,
      reserve: undefined,
      settleDelay: undefined,
      spread: undefined,
      code: undefined,
      reason: undefined,
      reconnect: { rate: undefined, minDelay: undefined, maxDelay: undefined }
    },
    closeTimeout: undefined,
    cleanupTimeout: undefined,
    signals: undefined,
    readiness: undefined,
    history: undefined,
    isolation: undefined,
    errorCode: undefined,
    heartbeat: undefined,
    idleTimeout: undefined,
    maxLifetime: undefined,
    messageRate: undefined,
    backpressure: { maxStallTime: undefined, maxBufferedBytes: undefined, policy: undefined },
    limits: { total: undefined, perOwner: undefined, perAddress: undefined, pressure: undefined, handshakes: { max: undefined, timeout: undefined } },
    allowedOrigins: undefined,
    refusal: undefined,
    fleet: undefined,
    onOutage: undefined,
    mode: undefined,
    clock: undefined,
    options: undefined,
    errorHandler: undefined,
    preClose: undefined
  }
  assert.equal(JSON.stringify(resolve(nothing)), JSON.stringify(resolveOptions()))
  assert.equal(JSON.stringify(resolve({ drain: undefined })), JSON.stringify(resolveOptions()))
  assert.equal(JSON.stringify(resolve({ drain: { reconnect: undefined } })), JSON.stringify(resolveOptions()))
  assert.deepEqual(resolve({ signals: { only: undefined, errors: undefined } }).signals, { only: false, errors: false })
})

test('0 is a value, not the default', () => {
  const { plan, drain, history } = resolve({ drain: { reserve: 0, spread: 0, reconnect: { minDelay: 0, maxDelay: 0 } }, history: 0 })
  assert.equal(plan.reserve, 0)
  assert.equal(plan.spread, 0)
  assert.deepEqual(drain.reconnect, { rate: 200, minDelay: 0, maxDelay: 0 })
  assert.deepEqual(history, { size: 0, owner: false, ip: false })
})

// ——— what is given

test('what is given is taken', () => {
  const owner = () => 'me'
  const data = () => ({})
  const onOpen = () => {}
  const onDrain = () => {}
  const reason = () => 'bye'
  const options = resolve({
    owner,
    data,
    onOpen,
    onDrain,
    drain: { timeout: 10_000, settleDelay: 500, spread: 1_000, code: 1001, reason, reconnect: { rate: 0.5 }, move: false, farewells: true },
    closeTimeout: 1_000,
    cleanupTimeout: 250,
    history: { size: 3, keep: ['owner'] },
    isolation: false,
    errorCode: 4500
  })
  assert.equal(options.owner, owner)
  assert.equal(options.data, data)
  assert.equal(options.onOpen, onOpen)
  assert.equal(options.onDrain, onDrain)
  assert.deepEqual(options.drain, { code: 1001, reason, reconnect: { rate: 0.5, minDelay: 0, maxDelay: 60_000 }, spread: 1_000, takeover: true, move: false, farewells: true })
  assert.equal(options.plan.timeout, 10_000)
  assert.equal(options.plan.settleDelay, 500)
  assert.equal(options.plan.spread, 1_000)
  assert.equal(options.plan.closeTimeout, 1_000)
  assert.equal(options.closeTimeout, 1_000)
  assert.equal(options.cleanupTimeout, 250)
  assert.deepEqual(options.history, { size: 3, owner: true, ip: false })
  assert.equal(options.isolation, false)
  assert.equal(options.errorCode, 4500)
})

test('a spread is taken as it is given', () => {
  for (const spread of ['auto', false, 0, 1_000] as const) assert.equal(resolve({ drain: { spread } }).drain.spread, spread)
})

test('clients come back at once where another server takes over, and are refused or moved for a second all the same', () => {
  for (const given of [{ terminationGracePeriod: 30_000 }, { preStop: 5_000 }, { settleDelay: 1_000 }]) {
    const { drain, retryDelay } = resolve({ drain: given })
    assert.deepEqual([drain.takeover, drain.reconnect.minDelay, retryDelay], [true, 0, 1_000], JSON.stringify(given))
  }
  assert.equal(resolve({ fleet: () => { throw new Error('options call nothing') } }).drain.reconnect.minDelay, 0)
  for (const given of [{}, { preStop: 0 }, { settleDelay: 0, timeout: 60_000 }]) {
    const { drain, retryDelay } = resolve({ drain: given })
    assert.deepEqual([drain.takeover, drain.reconnect.minDelay, retryDelay], [false, 1_000, 1_000], JSON.stringify(given))
  }
  const { drain, retryDelay } = resolve({ drain: { terminationGracePeriod: 30_000, reconnect: { minDelay: 300 } } })
  assert.deepEqual([drain.reconnect.minDelay, retryDelay], [300, 300])
})

test('a node of a fleet settles for 300 ms, so that the others notice', () => {
  const fleet = () => { throw new Error('not called') }
  assert.equal(resolveOptions({ fleet }).plan.settleDelay, 300)
  assert.equal(resolveOptions({ fleet, drain: { timeout: 1_000 } }).plan.settleDelay, 100)
  assert.equal(resolveOptions({ fleet, drain: { settleDelay: 0 } }).plan.settleDelay, 0)
})

test('the grace period of the pod decides the timeout, and the timeout the closeTimeout', () => {
  const { plan, closeTimeout } = resolve({ drain: { terminationGracePeriod: 30_000, preStop: 5_000 } })
  assert.equal(plan.timeout, 20_000)
  assert.equal(closeTimeout, 2_000)
  assert.equal(resolve({ drain: { timeout: 1_000 } }).closeTimeout, 200)
})

test('options of @fastify/websocket are passed on as they are', () => {
  const options = { maxPayload: 1 }
  const errorHandler = () => {}
  const preClose = () => {}
  const { websocket } = resolve({ options, errorHandler, preClose })
  assert.equal(websocket.options, options)
  assert.equal(websocket.errorHandler, errorHandler)
  assert.equal(websocket.preClose, preClose)
})

test("Fastify's own keys of register pass", () => {
  assert.doesNotThrow(() => resolve({ prefix: '/', logLevel: 'warn', logSerializers: {}, encapsulate: false }))
})

test('signals are off, on, those of a list, or on with options', () => {
  assert.equal(resolve({ signals: false }).signals, false)
  assert.deepEqual(resolve({ signals: true }).signals, { only: false, errors: false })
  assert.deepEqual(resolve({ signals: {} }).signals, { only: false, errors: false })
  assert.deepEqual(resolve({ signals: { errors: true } }).signals, { only: false, errors: true })
  assert.deepEqual(resolve({ signals: ['SIGTERM', 'SIGINT'] }).signals, { only: ['SIGTERM', 'SIGINT'], errors: false })
  assert.deepEqual(resolve({ signals: { only: ['SIGUSR2'] } }).signals, { only: ['SIGUSR2'], errors: false })
  assert.deepEqual(resolve({ signals: { only: false } }).signals, { only: false, errors: false })
  assert.deepEqual(resolve({ signals: { only: [], errors: true } }).signals, { only: [], errors: true }, 'only errors')
})

test('readiness is off, a path, or route options with a url', () => {
  assert.equal(resolve({ readiness: false }).readiness, false)
  assert.deepEqual(resolve({ readiness: '/ready' }).readiness, { url: '/ready' })
  assert.deepEqual(resolve({ readiness: { url: '/ready', logLevel: 'warn' } }).readiness, { url: '/ready', logLevel: 'warn' })
})

// ——— never changed, never changeable

test("the user's object is never changed", () => {
  const given = deepFreeze({
    options: { maxPayload: 1 },
    drain: { timeout: 10_000, reconnect: { rate: 100 } },
    signals: { only: ['SIGTERM'], errors: true },
    readiness: { url: '/ready', schema: { hide: true } }
  })
  const before = JSON.stringify(given)
  const options = resolve(given)
  assert.equal(JSON.stringify(given), before)
  assert.notEqual(options.readiness, given.readiness)
})

test("the user's object may be changed afterwards without effect", () => {
  const given = { drain: { reconnect: { rate: 100 } }, signals: { only: ['SIGTERM' as const], errors: true }, readiness: { url: '/ready' } }
  const options = resolve(given)
  given.drain.reconnect.rate = 1
  given.signals.errors = false
  given.signals.only.pop()
  given.readiness.url = '/other'
  assert.equal(options.drain.reconnect.rate, 100)
  assert.deepEqual(options.signals, { only: ['SIGTERM'], errors: true })
  assert.deepEqual(options.readiness, { url: '/ready' })
})

test('what comes out is frozen, all of it', () => {
  const { clock, ...options } = resolve({ signals: ['SIGTERM'], readiness: '/ready', heartbeat: { interval: 1_000 } })
  // Code that replaces a function of the clock replaces it for the process.
  assert.equal(clock, systemClock)
  assert.ok(Object.isFrozen(resolve({})))
  assert.deepEqual(unfrozen(Object.freeze(options)), [])
  assert.deepEqual(unfrozen(resolveRouteOptions('/', {})), [])
  assert.deepEqual(unfrozen(resolveRouteOptions('/', { heartbeat: { interval: 1_000 } })), [])
  assert.deepEqual(unfrozen(defaults), [])
})

test("an object that is the user's is not frozen", () => {
  const options = { maxPayload: 1 }
  const schema = { hide: true }
  const drain = {}
  const readiness = { url: '/ready', schema }
  resolve({ options, readiness, drain })
  for (const object of [options, schema, drain, readiness]) assert.equal(Object.isFrozen(object), false)
})

// ——— mistakes

const DURATION = 'a non-negative integer (ms)'
const POSITIVE = 'a positive integer (ms)'
const CODE = 'a close code (1000-1003, 1007-1014, 3000-4999)'

/** Option, what it takes, and what it must refuse. */
const WRONG: Array<[option: string, allowed: string, ...given: unknown[]]> = [
  ['owner', 'a function', 'user', null, {}, 1, false],
  ['data', 'a function', {}, null],
  ['onOpen', 'a function', true, null, []],
  ['onDrain', 'a function', 'bye', null],
  ['drain', 'an object', 8_000, null, false, true, 'slowly', [], noop],
  ['drain.timeout', POSITIVE, -1, 0, 1.5, NaN, Infinity, '8s', '8000', null, true, false, {}, 2 ** 53],
  ['drain.terminationGracePeriod', POSITIVE, -1, 0, 0.5, '30s', null, 2 ** 53],
  ['drain.preStop', DURATION, -1, 1.5, '5s', null, true],
  ['drain.reserve', DURATION, -1, 1.5, '5s', null, false],
  ['drain.settleDelay', DURATION, -1, 1.5, '5s', null, 10n],
  ['drain.spread', 'false or a non-negative integer (ms)', -1, 1.5, '5s', null, true],
  ['drain.code', CODE, 999, 1004, 1005, 1006, 1015, 2000, 5000, '1012', null, 1012.5],
  ['drain.reason', 'a string or a function', 1, null, {}, false],
  ['drain.reconnect', 'an object', 5, null, [], 'soon'],
  ['drain.reconnect.rate', 'a positive number (clients a second)', 0, -1, NaN, Infinity, '200', null],
  ['drain.reconnect.minDelay', DURATION, -1, 0.5, '1s', null],
  ['drain.reconnect.maxDelay', DURATION, -1, 0.5, Infinity, null],
  ['closeTimeout', POSITIVE, 0, -1, 1.5, '2s', null, false],
  ['cleanupTimeout', POSITIVE, 0, -1, 1.5, '5s', null, false, 2 ** 53],
  ['signals', 'true, false, a list of signals or an object', 1, 'SIGTERM', null, noop],
  ['signals', 'false or a list of SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR2', ['SIGKILL'], ['sigterm'], ['SIGTERM', 'SIGSEGV'], [15], [null]],
  ['signals.only', 'false or a list of SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR2', true, 'SIGTERM', null, 1, {}, ['SIGUSR1']],
  ['signals.errors', 'true or false', 1, 'yes', null],
  ['readiness', 'false, a path that starts with /, or route options with such a url', true, 1, null, 'ready', '', {}, { url: 'ready' }, { url: 1 }, { logLevel: 'warn' }, ['/ready']],
  ['history', 'a non-negative integer or an object', -1, 1.5, '256', null, false, Infinity, []],
  ['history.size', 'a non-negative integer', -1, 1.5, '256', null, false, Infinity],
  ['history.keep', "a list of 'owner' and 'ip'", 'owner', ['address'], null, false, { 0: 'owner' }],
  ['isolation', 'true or false', 1, 'yes', null, {}],
  ['errorCode', CODE, 1006, 1015, 0, '1011', null],
  ['heartbeat', 'true, false or an object', 0, 1, 25_000, '25s', noop, NaN, null, []],
  ['heartbeat.interval', 'an integer of 100 or more (ms)', 0, 99, -1, 100.5, NaN, Infinity, '25s', null, false, true, 2 ** 53],
  ['heartbeat.maxMissed', 'a positive integer', 0, -1, 1.5, NaN, Infinity, '2', null, false],
  ['idleTimeout', 'false or a positive integer (ms)', 0, -1, 1.5, NaN, Infinity, '1m', null, true, {}, 2 ** 53],
  ['maxLifetime', 'false or a positive integer (ms)', 0, -1, 1.5, NaN, Infinity, '1h', null, true, {}, 2 ** 53],
  ['limits', 'an object', 1, null, false, true, 'few', []],
  ['limits.handshakes', 'an object', 1, null, false, true, 'few', []],
  ['limits.total', 'false or an object', 1, null, true, 'few', []],
  ['limits.total.max', 'a positive integer', 0, -1, 1.5, NaN, Infinity, '10', null, false],
  ['limits.perOwner', 'false or an object', 1, null, true, 'few', []],
  ['limits.perOwner.max', 'a positive integer', 0, -1, 1.5, '10', null],
  ['limits.perAddress', 'false or an object', 1, null, true, 'few', []],
  ['limits.perAddress.max', 'a positive integer', 0, -1, 1.5, '10', null],
  ['limits.pressure', 'true or false', 1, 'yes', null, {}],
  ['limits.handshakes.max', 'false or a positive integer', 0, -1, 1.5, NaN, Infinity, '10', null, true],
  ['messageRate', 'false or an object', 1, null, true, 'few', []],
  ['backpressure', 'false or an object', 1, null, true, 'few', []],
  ['backpressure.maxStallTime', 'false or an integer of 200 or more (ms)', 0, 199, -1, 200.5, NaN, Infinity, '60s', null, true, 2 ** 53],
  ['backpressure.maxBufferedBytes', 'false or an integer of 1 or more (bytes)', 0, -1, 1.5, NaN, Infinity, '1mb', null, true],
  ['backpressure.policy', "'close' or 'drop'", 'shed', null, false, 1],
  ['allowedOrigins', "'report', 'same-origin', false, a function, or a list of origins", true, null, 1, 'https://example.com', 'same-site', {}, [1], [null], ['example.com'],
    ['https://example.com/'], ['https://example.com/path'], ['https://example.com?'], ['https://example.com#'], ['https://'], ['*'], [''], ['https://a b'], ['https://a@b'], ['https://a:65536'], ['://a'], ['file:///'], ['null '], [' https://a']],
  ['refusal', "'http' or 'close'", 'tcp', null, false, 1],
  ['fleet', 'a function', 'redis://localhost', null, {}, true],
  ['onOutage', "'local' or 'refuse'", 'ignore', null, false, 1],
  ['mode', "'enforce', 'observe', or an object with either for single policies", 'off', null, false, true, 1],
  ['mode.origin', "'enforce' or 'observe'", 'off', null, false, true, 'report'],
  ['mode.messageRate', "'enforce' or 'observe'", 'off', null, false, true],
  ['limits.handshakes.timeout', 'false or a positive integer (ms)', 0, -1, 1.5, NaN, Infinity, '10s', null, true, 2 ** 53],
  ['clock', 'a clock, as createClock() makes one', 1, null, false, true, 'fake', {}, noop, [], { now: noop }]
]

for (const [option, allowed, ...given] of WRONG) {
  test(`${option} takes ${allowed} only`, () => {
    for (const value of given) {
      // The name, what is allowed, and what was given.
      assert.throws(() => resolve(nest(option, value)), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'SOCKETS_ERR_INVALID_OPTION', `${show(value)}: ${error.message}`)
        assert.ok(error instanceof TypeError)
        assert.ok(error.message.startsWith(`${option} must be `), error.message)
        assert.ok(error.message.includes(allowed), error.message)
        assert.match(error.message, / got .+$/)
        return true
      }, `${option}: ${show(value)} was taken`)
    }
  })
}

test('what was given stands in the message', () => {
  const message = (option: string, value: unknown) => {
    try {
      resolve(nest(option, value))
    } catch (error) {
      return (error as Error).message
    }
    return 'taken'
  }
  assert.equal(message('drain.timeout', -1), 'drain.timeout must be a positive integer (ms), got -1')
  assert.equal(message('drain.timeout', '8s'), 'drain.timeout must be a positive integer (ms), got "8s"')
  assert.equal(message('drain.timeout', noop), 'drain.timeout must be a positive integer (ms), got a function')
  assert.equal(message('drain.timeout', {}), 'drain.timeout must be a positive integer (ms), got an object')
  assert.equal(message('drain.timeout', []), 'drain.timeout must be a positive integer (ms), got an array')
  assert.equal(message('drain.timeout', null), 'drain.timeout must be a positive integer (ms), got null')
})

for (const given of [null, 1, 'fast', [], true]) {
  test(`options that are ${show(given)} are refused`, () => {
    assert.throws(() => resolve(given as never), { code: 'SOCKETS_ERR_INVALID_OPTION', message: /^options must be an object, got / })
  })
}

const UNKNOWN: Array<[given: object, message: string]> = [
  [{ fairness: 1 }, 'unknown option "fairness"; the known ones are options, errorHandler, preClose, owner, data, onOpen, onDrain, drain, closeTimeout, cleanupTimeout, signals, readiness, history, isolation, errorCode, limits, allowedOrigins, refusal, mode, fleet, onOutage, clock, heartbeat, idleTimeout, maxLifetime, messageRate, backpressure, prefix, logLevel, logSerializers, encapsulate'],
  [{ drain: { timeOut: 1 } }, 'unknown option "timeOut" in drain; did you mean "timeout"?'],
  [{ drain: { grace: 1 } }, 'unknown option "grace" in drain; the known ones are timeout, terminationGracePeriod, preStop, reserve, settleDelay, spread, code, reason, reconnect, move, farewells'],
  [{ drain: { reconnect: { min: 1 } } }, 'unknown option "min" in drain.reconnect; the known ones are rate, minDelay, maxDelay'],
  [{ signals: { error: true } }, 'unknown option "error" in signals; did you mean "errors"?'],
  [{ heartbeat: { every: 1 } }, 'unknown option "every" in heartbeat; the known ones are interval, maxMissed'],
  [{ limits: { handshake: {} } }, 'unknown option "handshake" in limits; did you mean "handshakes"?'],
  [{ limits: { handshakes: { maximum: 1 } } }, 'unknown option "maximum" in limits.handshakes; the known ones are max, timeout'],
  [{ limits: { total: { maximum: 1 } } }, 'unknown option "maximum" in limits.total; the known ones are max, policy, scope'],
  [{ limits: { perAddress: { max: 1, scope: 'fleet' } } }, 'unknown option "scope" in limits.perAddress; the known ones are max, policy'],
  [{ messageRate: { max: 1, window: 1 } }, 'unknown option "window" in messageRate; the known ones are max, timeWindow, burst, policy'],
  [{ backpressure: { maxBytes: 1 } }, 'unknown option "maxBytes" in backpressure; the known ones are maxStallTime, maxBufferedBytes, policy'],
  [{ mode: { messagerate: 'observe' } }, 'unknown option "messagerate" in mode; did you mean "messageRate"?']
]

for (const [given, message] of UNKNOWN) {
  test(`${message.slice(0, message.indexOf(';'))} is refused`, () => {
    assert.throws(() => resolve(given), { code: 'SOCKETS_ERR_INVALID_OPTION', message })
  })
}

test('an unknown key throws also where its value is undefined', () => {
  assert.throws(() => resolve({ idleTimeOut: undefined }), { code: 'SOCKETS_ERR_INVALID_OPTION' })
})

const CONFLICTS: Array<[what: string, given: object, message: RegExp]> = [
  ['a timeout over the grace period', { drain: { terminationGracePeriod: 30_000, timeout: 26_000 } },
    /preStop 0 \+ timeout 26000 \+ reserve 5000 = 31000 ms is more than terminationGracePeriod 30000 ms/],
  ['a preStop that takes the whole grace period', { drain: { terminationGracePeriod: 30_000, preStop: 25_000 } },
    /terminationGracePeriod 30000 − preStop 25000 − reserve 5000 = 0 ms/],
  ['a settleDelay over the timeout', { drain: { settleDelay: 8_000 } },
    /timeout 8000 − settleDelay 8000 − closeTimeout 1600 − 800 for cleanups = -2400 ms/],
  ['a spread over what is left', { drain: { spread: 6_000 } }, /= 5600 ms, which is less than spread 6000 ms/],
  ['a closeTimeout over the timeout', { drain: { timeout: 1_000 }, closeTimeout: 2_000 },
    /timeout 1000 − settleDelay 0 − closeTimeout 2000 − 100 for cleanups = -1100 ms/],
  ['delays the wrong way round', { drain: { reconnect: { minDelay: 5_000, maxDelay: 1_000 } } },
    /drain\.reconnect: maxDelay 1000 ms is less than minDelay 5000 ms/],
  ['a minDelay over the default maxDelay', { drain: { reconnect: { minDelay: 61_000 } } },
    /maxDelay 60000 ms is less than minDelay 61000 ms/],
  ['a limit for one owner over that for all', { limits: { total: { max: 10 }, perOwner: { max: 11 } } },
    /limits\.perOwner\.max 11 is above limits\.total\.max 10: it could never be reached/],
  ['a limit for one address over that for all', { limits: { total: { max: 10 }, perAddress: { max: 11 } } },
    /limits\.perAddress\.max 11 is above limits\.total\.max 10/]
]

for (const [what, given, message] of CONFLICTS) {
  test(`${what} is refused with the sum`, () => {
    assert.throws(() => resolve(given), { code: 'SOCKETS_ERR_OPTION_CONFLICT', message })
  })
}

// ——— routes

test('without options of its own a route has the defaults', () => {
  const expected = { holdMessages: false, keepRequest: false, waitForHandler: false, settings: SETTINGS }
  assert.deepEqual(resolveRouteOptions('/', undefined), expected)
  assert.deepEqual(resolveRouteOptions('/', {}), expected)
  assert.deepEqual(resolveRouteOptions('/', { holdMessages: undefined as never }), expected)
})

for (const option of ['holdMessages', 'keepRequest', 'waitForHandler']) {
  test(`${option} of a route is a boolean`, () => {
    assert.deepEqual(resolveRouteOptions('/', { [option]: true }), { holdMessages: false, keepRequest: false, waitForHandler: false, settings: SETTINGS, [option]: true })
    for (const value of [1, 'yes', null, {}]) {
      assert.throws(() => resolveRouteOptions('/jobs', { [option]: value }), {
        code: 'SOCKETS_ERR_INVALID_OPTION',
        message: new RegExp(`^config\\.sockets of route /jobs\\.${option} must be true or false, got `)
      })
    }
  })
}

test('an unknown key of a route is refused by the name of the route', () => {
  assert.throws(() => resolveRouteOptions('/jobs', { idleTimeOut: 1 } as never), {
    code: 'SOCKETS_ERR_INVALID_OPTION',
    message: 'unknown option "idleTimeOut" in config.sockets of route /jobs; did you mean "idleTimeout"?'
  })
})

for (const given of [null, true, 1, 'hold', []]) {
  test(`options of a route that are ${show(given)} are refused`, () => {
    assert.throws(() => resolveRouteOptions('/jobs', given as never), {
      code: 'SOCKETS_ERR_INVALID_OPTION',
      message: /^config\.sockets of route \/jobs must be an object, got /
    })
  })
}

test('the object of a route is neither changed nor frozen', () => {
  const given = { keepRequest: true }
  resolveRouteOptions('/', given)
  assert.deepEqual(given, { keepRequest: true })
  assert.equal(Object.isFrozen(given), false)
})

// ———

/** `nest('drain.timeout', 1)` is `{ drain: { timeout: 1 } }`. */
function nest (path: string, value: unknown): object {
  return path.split('.').reduceRight((inner, key) => ({ [key]: inner }), value) as object
}

function show (value: unknown): string {
  return typeof value === 'bigint' ? `${value}n` : typeof value === 'function' ? 'a function' : JSON.stringify(value) ?? String(value)
}

function deepFreeze<T extends object> (object: T): T {
  for (const value of Object.values(object)) if (typeof value === 'object' && value !== null) deepFreeze(value)
  return Object.freeze(object)
}

/** Paths of the objects that could be changed. */
function unfrozen (object: object, path = ''): string[] {
  const found = Object.isFrozen(object) ? [] : [path || 'itself']
  for (const [key, value] of Object.entries(object)) {
    if (typeof value === 'object' && value !== null) found.push(...unfrozen(value, `${path}.${key}`))
  }
  return found
}
