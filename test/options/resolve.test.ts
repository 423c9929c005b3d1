/**
 * Heartbeat, idle timeout, lifetime, rates, backpressure, limits, modes and clock: what is taken, what a route has from the plugin, and
 * which combinations are refused. options.test.ts has the rest and the table of refused values.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { systemClock } from '../../lib/base/clock.ts'
import { POLICIES } from '../../lib/track/observation.ts'
import type { LifecycleOptions, RouteSocketOptions, TermsOptions } from '../../lib/options/options.ts'
import { resolveOptions, resolveRouteOptions } from '../../lib/options/resolve.ts'
import { createClock } from '../../lib/testing/clock.ts'

const DEFAULT = { interval: 25_000, maxMissed: 2 }

const termsOf = (given: LifecycleOptions) => resolveOptions(given).settings
const routeTerms = (plugin: TermsOptions, route: RouteSocketOptions) => resolveRouteOptions('/jobs', route, termsOf(plugin)).settings

// ——— the plugin

const HEARTBEATS: Array<[given: TermsOptions['heartbeat'], resolved: typeof DEFAULT | false]> = [
  [undefined, DEFAULT],
  [true, DEFAULT],
  [false, false],
  [{}, DEFAULT],
  [{ interval: undefined, maxMissed: undefined } as never, DEFAULT],
  [{ interval: 100 }, { interval: 100, maxMissed: 2 }],
  [{ interval: 2 ** 31 - 1 }, { interval: 2 ** 31 - 1, maxMissed: 2 }],
  [{ maxMissed: 1 }, { interval: 25_000, maxMissed: 1 }],
  [{ interval: 1_000, maxMissed: 5 }, { interval: 1_000, maxMissed: 5 }]
]

for (const [given, resolved] of HEARTBEATS) {
  test(`heartbeat ${JSON.stringify(given)} is ${JSON.stringify(resolved)}`, () => {
    assert.deepEqual(termsOf({ heartbeat: given } as LifecycleOptions).heartbeat, resolved)
  })
}

test('the object of a heartbeat is neither changed nor frozen, nor kept', () => {
  const heartbeat = { interval: 1_000 }
  const settings = termsOf({ heartbeat })
  heartbeat.interval = 5_000
  assert.deepEqual(settings.heartbeat, { interval: 1_000, maxMissed: 2 })
  assert.deepEqual([heartbeat, Object.isFrozen(heartbeat)], [{ interval: 5_000 }, false])
})

for (const name of ['idleTimeout', 'maxLifetime'] as const) {
  test(`${name} is off, or as given`, () => {
    assert.equal(termsOf({})[name], false)
    assert.equal(termsOf({ [name]: false })[name], false)
    assert.equal(termsOf({ [name]: 1 })[name], 1)
    assert.equal(termsOf({ [name]: 90 * 86_400_000 })[name], 90 * 86_400_000)
  })
}

test('the handshake timeout is 10 s, off, or as given', () => {
  const timeoutOf = (limits: LifecycleOptions['limits']) => resolveOptions({ limits } as LifecycleOptions).limits.handshakeTimeout
  assert.deepEqual([undefined, {}, { handshakes: {} }].map(timeoutOf as never), [10_000, 10_000, 10_000])
  assert.equal(timeoutOf({ handshakes: { timeout: false } }), false)
  assert.equal(timeoutOf({ handshakes: { timeout: 1 } }), 1)
})

test("a clock is taken as it is, neither copied nor frozen: one's own, a test's, or the real one", () => {
  assert.equal(resolveOptions().clock, systemClock)
  const clock = createClock()
  assert.equal(resolveOptions({ clock }).clock, clock)
  const own = { ...systemClock }
  assert.equal(resolveOptions({ clock: own }).clock, own)
  assert.equal(Object.isFrozen(own), false)
})

for (const missing of Object.keys(systemClock)) {
  test(`a clock without ${missing} is refused`, () => {
    assert.throws(() => resolveOptions({ clock: { ...systemClock, [missing]: undefined } as never }), { code: 'SOCKETS_ERR_INVALID_OPTION', message: /^clock must be a clock, as createClock\(\) makes one, got an object$/ })
  })
}

// ——— bounds

test('a rate has a window of a second, a burst of its maximum, and closes', () => {
  assert.deepEqual(termsOf({ messageRate: { max: 20 } }).messageRate, { max: 20, timeWindow: 1_000, burst: 20, policy: 'close' })
  assert.deepEqual(termsOf({ messageRate: { max: 20, timeWindow: 60_000, burst: 1, policy: 'pause' } }).messageRate, { max: 20, timeWindow: 60_000, burst: 1, policy: 'pause' })
  assert.equal(termsOf({ messageRate: false }).messageRate, false)
})

test('backpressure false is neither of its bounds', () => {
  assert.deepEqual(termsOf({ backpressure: false }).backpressure, { maxStallTime: false, maxBufferedBytes: false, policy: 'close' })
  assert.deepEqual(termsOf({ backpressure: { maxStallTime: false } }).backpressure, { maxStallTime: false, maxBufferedBytes: false, policy: 'close' })
  assert.deepEqual(termsOf({ backpressure: { maxStallTime: 200, maxBufferedBytes: 1, policy: 'drop' } }).backpressure, { maxStallTime: 200, maxBufferedBytes: 1, policy: 'drop' })
})

test('a limit has a policy, which is to refuse', () => {
  const { limits } = resolveOptions({
    limits: { total: { max: 100 }, perOwner: { max: 100, policy: 'evict-oldest' }, perAddress: { max: 1, policy: 'evict-idlest' }, pressure: true, handshakes: { max: 5, timeout: false } }
  })
  assert.deepEqual(limits, {
    total: { max: 100, policy: 'refuse', scope: 'node' },
    perOwner: { max: 100, policy: 'evict-oldest', scope: 'node' },
    perAddress: { max: 1, policy: 'evict-idlest', scope: 'node' },
    pressure: true,
    handshakes: 5,
    handshakeTimeout: false
  })
  assert.deepEqual(resolveOptions({ limits: { total: false, perOwner: false, perAddress: false, handshakes: { max: false } } }).limits, resolveOptions().limits)
})

test('what a bound cannot be is refused by its name', () => {
  for (const [given, message] of [
    [{ limits: { total: { max: 1, policy: 'evict' } } }, /^limits\.total\.policy must be 'refuse' or 'evict-oldest' or 'evict-idlest', got "evict"/],
    [{ limits: { perOwner: { max: 1, policy: null } } }, /^limits\.perOwner\.policy must be .*, got null/],
    [{ limits: { perAddress: { max: 1, policy: false } } }, /^limits\.perAddress\.policy must be .*, got false/],
    [{ limits: { total: { max: 1, scope: 'cluster' } } }, /^limits\.total\.scope must be 'node' or 'fleet', got "cluster"/],
    [{ limits: { total: { policy: 'refuse' } } }, /^limits\.total\.max is missing: it must be a positive integer$/],
    [{ messageRate: {} }, /^messageRate\.max is missing: it must be a positive integer$/],
    [{ messageRate: { max: 0 } }, /^messageRate\.max must be a positive integer, got 0/],
    [{ messageRate: { max: 0.5 } }, /^messageRate\.max must be a positive integer, got 0\.5/],
    [{ messageRate: { max: 1, timeWindow: 0 } }, /^messageRate\.timeWindow must be a positive integer \(ms\), got 0/],
    [{ messageRate: { max: 1, burst: 0 } }, /^messageRate\.burst must be a positive integer, got 0/],
    [{ messageRate: { max: 1, policy: 'drop' } }, /^messageRate\.policy must be 'close' or 'pause', got "drop"/]
  ] as Array<[object, RegExp]>) {
    assert.throws(() => resolveOptions(given as LifecycleOptions), { code: 'SOCKETS_ERR_INVALID_OPTION', message })
  }
})

test('a limit that all nodes share needs a fleet, and a policy that nodes can follow', () => {
  const fleet = () => ({}) as never
  for (const limit of ['total', 'perOwner'] as const) {
    for (const policy of ['refuse', 'evict-oldest'] as const) {
      const limits = { [limit]: { max: 1, policy, scope: 'fleet' } } as const
      assert.equal((resolveOptions({ limits, fleet }).limits[limit] as { scope: string }).scope, 'fleet')
      assert.throws(() => resolveOptions({ limits }), { code: 'SOCKETS_ERR_OPTION_CONFLICT', message: `limits.${limit}: scope 'fleet' needs the option fleet, which says how nodes find each other: give it, or leave out the scope` })
    }
    assert.throws(() => resolveOptions({ fleet, limits: { [limit]: { max: 1, policy: 'evict-idlest', scope: 'fleet' } } }), {
      code: 'SOCKETS_ERR_OPTION_CONFLICT', message: new RegExp(`^limits\\.${limit}: policy 'evict-idlest' does not go with scope 'fleet', .*: take 'evict-oldest'$`)
    })
  }
})

test('a list of origins is compared in lower case, and is neither changed nor frozen, nor kept', () => {
  const given = ['https://Example.COM:8443', 'null', 'chrome-extension://abc']
  const { allowedOrigins } = resolveOptions({ allowedOrigins: given })
  assert.deepEqual(allowedOrigins, ['https://example.com:8443', 'null', 'chrome-extension://abc'])
  assert.deepEqual([Object.isFrozen(allowedOrigins), Object.isFrozen(given), given[0]], [true, false, 'https://Example.COM:8443'])
  const decide = () => true
  assert.equal(resolveOptions({ allowedOrigins: decide }).allowedOrigins, decide)
  for (const value of ['report', 'same-origin', false] as const) assert.equal(resolveOptions({ allowedOrigins: value }).allowedOrigins, value)
})

test('an entry of a list of origins is brought into the form in which browsers send it', () => {
  const given = ['https://example.com:443', 'http://example.com:80', 'https://Bücher.example', 'http://[::0001]:3000', 'file://', 'FILE://', 'capacitor://localhost', 'app://.', 'moz-extension://B16A-7', 'NULL', 'wss://example.com:443']
  assert.deepEqual(resolveOptions({ allowedOrigins: given }).allowedOrigins,
    ['https://example.com', 'http://example.com', 'https://xn--bcher-kva.example', 'http://[::1]:3000', 'file://', 'file://', 'capacitor://localhost', 'app://.', 'moz-extension://b16a-7', 'null', 'wss://example.com'])
})

test('an empty list of origins is a list: no page may', () => {
  assert.deepEqual(resolveOptions({ allowedOrigins: [] }).allowedOrigins, [])
})

test('a mode is of all policies, or of some by name', () => {
  const all = (mode: string) => Object.fromEntries(POLICIES.map((policy) => [policy, mode]))
  assert.deepEqual(resolveOptions({ mode: 'observe' }).modes, all('observe'))
  assert.deepEqual(resolveOptions({ mode: 'enforce' }).modes, all('enforce'))
  assert.deepEqual(resolveOptions({ mode: {} }).modes, all('enforce'))
  for (const policy of POLICIES) assert.deepEqual(resolveOptions({ mode: { [policy]: 'observe' } }).modes, { ...all('enforce'), [policy]: 'observe' })
})

// ——— routes

test('a route that says nothing shares the settings of the plugin: no object of its own', () => {
  const settings = termsOf({ idleTimeout: 60_000 })
  for (const route of [undefined, {}, { keepRequest: true }]) assert.equal(resolveRouteOptions('/jobs', route, settings).settings, settings)
})

const INHERITED: Array<[plugin: TermsOptions, route: TermsOptions, settings: object]> = [
  [{ heartbeat: false }, { heartbeat: true }, { heartbeat: DEFAULT }],
  [{ heartbeat: false }, { heartbeat: {} }, { heartbeat: DEFAULT }],
  [{ heartbeat: false }, { heartbeat: { maxMissed: 3 } }, { heartbeat: { interval: 25_000, maxMissed: 3 } }],
  [{ heartbeat: false }, { idleTimeout: 1 }, { heartbeat: false, idleTimeout: 1 }],
  [{ heartbeat: { interval: 1_000, maxMissed: 4 } }, { heartbeat: true }, { heartbeat: { interval: 1_000, maxMissed: 4 } }],
  [{ heartbeat: { interval: 1_000, maxMissed: 4 } }, { heartbeat: { interval: 500 } }, { heartbeat: { interval: 500, maxMissed: 4 } }],
  [{ heartbeat: { interval: 1_000, maxMissed: 4 } }, { heartbeat: { maxMissed: 1 } }, { heartbeat: { interval: 1_000, maxMissed: 1 } }],
  [{ heartbeat: { interval: 1_000 } }, { heartbeat: false }, { heartbeat: false }],
  [{}, { heartbeat: false }, { heartbeat: false }],
  [{ idleTimeout: 60_000, maxLifetime: 90_000 }, { idleTimeout: false }, { idleTimeout: false, maxLifetime: 90_000 }],
  [{ idleTimeout: 60_000, maxLifetime: 90_000 }, { maxLifetime: false }, { idleTimeout: 60_000, maxLifetime: false }],
  [{ idleTimeout: 60_000 }, { idleTimeout: 30_000 }, { idleTimeout: 30_000 }],
  [{ idleTimeout: 60_000 }, { idleTimeout: undefined } as never, { idleTimeout: 60_000 }],
  [{ idleTimeout: false }, { idleTimeout: 30_000 }, { idleTimeout: 30_000 }],
  [{ maxLifetime: 60_000 }, { heartbeat: true }, { maxLifetime: 60_000, heartbeat: DEFAULT }],
  [{ messageRate: { max: 5, burst: 9 } }, { messageRate: { max: 7 } }, { messageRate: { max: 7, timeWindow: 1_000, burst: 7, policy: 'close' } }],
  [{ messageRate: { max: 5 } }, { messageRate: false }, { messageRate: false }],
  [{ messageRate: { max: 5 } }, { idleTimeout: 1 }, { idleTimeout: 1 }],
  [{}, { messageRate: { max: 5, policy: 'pause' } }, { messageRate: { max: 5, timeWindow: 1_000, burst: 5, policy: 'pause' } }],
  [{ backpressure: false }, { backpressure: { maxBufferedBytes: 9 } }, { backpressure: { maxStallTime: false, maxBufferedBytes: 9, policy: 'close' } }],
  [{ backpressure: { maxBufferedBytes: 9, policy: 'drop' } }, { backpressure: { maxStallTime: 500 } }, { backpressure: { maxStallTime: 500, maxBufferedBytes: 9, policy: 'drop' } }],
  [{ backpressure: { maxBufferedBytes: 9 } }, { backpressure: { maxBufferedBytes: false } }, { backpressure: { maxStallTime: 300_000, maxBufferedBytes: false, policy: 'close' } }],
  [{ backpressure: { maxBufferedBytes: 9 } }, { backpressure: false }, { backpressure: { maxStallTime: false, maxBufferedBytes: false, policy: 'close' } }]
]

for (const [plugin, route, expected] of INHERITED) {
  test(`plugin ${JSON.stringify(plugin)} and route ${JSON.stringify(route)} make ${JSON.stringify(expected)}`, () => {
    const settings = routeTerms(plugin, route)
    assert.deepEqual(settings, { ...termsOf(plugin), ...expected })
    assert.ok(Object.isFrozen(settings))
  })
}

const WRONG: Array<[option: keyof TermsOptions, allowed: RegExp, ...given: unknown[]]> = [
  ['heartbeat', /true, false or an object/, 1, '25s', 0],
  ['heartbeat', /an object/, null, []],
  ['idleTimeout', /false or a positive integer \(ms\)/, 0, -1, 1.5, '1m', null, true, 2 ** 53],
  ['maxLifetime', /false or a positive integer \(ms\)/, 0, -1, 1.5, '1h', null, true, 2 ** 53],
  ['messageRate', /an object/, 1, 'few', null, true],
  ['backpressure', /an object/, 1, 'few', null, true]
]

for (const [option, allowed, ...given] of WRONG) {
  test(`${option} of a route is refused by the name of the route: ${given.map((value) => JSON.stringify(value)).join(', ')}`, () => {
    for (const value of given) {
      assert.throws(() => resolveRouteOptions('/jobs', { [option]: value }), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'SOCKETS_ERR_INVALID_OPTION')
        assert.ok(error.message.startsWith(`config.sockets of route /jobs.${option} must be `), error.message)
        assert.match(error.message, allowed)
        return true
      })
    }
  })
}

test('keys and values of the heartbeat of a route are checked', () => {
  assert.throws(() => resolveRouteOptions('/jobs', { heartbeat: { interval: 99 } }), { message: 'config.sockets of route /jobs.heartbeat.interval must be an integer of 100 or more (ms), got 99' })
  assert.throws(() => resolveRouteOptions('/jobs', { heartbeat: { maxMissed: 0 } }), { message: 'config.sockets of route /jobs.heartbeat.maxMissed must be a positive integer, got 0' })
  assert.throws(() => resolveRouteOptions('/jobs', { heartbeat: { every: 1 } as never }), { message: 'unknown option "every" in config.sockets of route /jobs.heartbeat; the known ones are interval, maxMissed' })
})

test('limits, modes, origins and the clock are no options of a route', () => {
  for (const key of ['limits', 'clock', 'mode', 'allowedOrigins', 'refusal']) assert.throws(() => resolveRouteOptions('/jobs', { [key]: {} } as never), { code: 'SOCKETS_ERR_INVALID_OPTION' })
})

// ——— combinations

const CONFLICTS: Array<[plugin: TermsOptions, route: TermsOptions | undefined, message: string]> = [
  [{ heartbeat: { interval: 1_000 }, idleTimeout: 1_000 }, undefined, 'idleTimeout 1000 ms is not longer than heartbeat.interval 1000 ms'],
  [{ heartbeat: {}, idleTimeout: 10_000 }, undefined, 'idleTimeout 10000 ms is not longer than heartbeat.interval 25000 ms'],
  [{ idleTimeout: 10_000 }, { heartbeat: { interval: 20_000 } }, 'config.sockets of route /jobs.idleTimeout 10000 ms is not longer than heartbeat.interval 20000 ms'],
  [{}, { heartbeat: { maxMissed: 1 }, idleTimeout: 25_000 }, 'config.sockets of route /jobs.idleTimeout 25000 ms is not longer than heartbeat.interval 25000 ms']
]

for (const [plugin, route, message] of CONFLICTS) {
  test(`plugin ${JSON.stringify(plugin)} and route ${JSON.stringify(route)} are in conflict, and both numbers are named`, () => {
    assert.throws(() => { routeTerms(plugin, route as RouteSocketOptions) }, (error: Error & { code?: string }) => {
      assert.equal(error.code, 'SOCKETS_ERR_OPTION_CONFLICT')
      assert.ok(error.message.includes(message), error.message)
      return true
    })
  })
}

const FINE: Array<[plugin: TermsOptions, route: TermsOptions]> = [
  [{ heartbeat: { interval: 1_000 }, idleTimeout: 1_001 }, {}],
  // The interval is a default: a short idle timeout is no mistake.
  [{ idleTimeout: 1_000 }, {}],
  [{ heartbeat: true, idleTimeout: 1_000 }, {}],
  [{ heartbeat: false, idleTimeout: 1 }, {}],
  [{ heartbeat: { interval: 20_000 } }, { idleTimeout: 1_000 }],
  [{ heartbeat: { interval: 20_000 }, idleTimeout: 30_000 }, { heartbeat: false, idleTimeout: 10 }],
  [{ heartbeat: { interval: 1_000 }, maxLifetime: 10 }, {}]
]

for (const [plugin, route] of FINE) {
  test(`plugin ${JSON.stringify(plugin)} and route ${JSON.stringify(route)} are no conflict`, () => {
    assert.doesNotThrow(() => routeTerms(plugin, route))
  })
}
