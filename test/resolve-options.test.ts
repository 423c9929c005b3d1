/**
 * Heartbeat, idle timeout, lifetime, handshake timeout and clock: what is taken, what a route has from the plugin, and
 * which combinations are refused. options.test.ts has the rest and the table of refused values.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { systemClock } from '../lib/core/clock.ts'
import type { LifecycleOptions, RouteSocketOptions, TermsOptions } from '../lib/options.ts'
import { resolveOptions, resolveRouteOptions } from '../lib/resolve-options.ts'
import { createClock } from '../lib/testing/clock.ts'

const DEFAULT = { interval: 25_000, maxMissed: 2 }

const termsOf = (given: LifecycleOptions) => resolveOptions(given).terms
const routeTerms = (plugin: TermsOptions, route: RouteSocketOptions) => resolveRouteOptions('/jobs', route, termsOf(plugin)).terms

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
  const terms = termsOf({ heartbeat })
  heartbeat.interval = 5_000
  assert.deepEqual(terms.heartbeat, { interval: 1_000, maxMissed: 2 })
  assert.deepEqual([heartbeat, Object.isFrozen(heartbeat)], [{ interval: 5_000 }, false])
})

for (const name of ['idleTimeout', 'maxLifetime'] as const) {
  test(`${name} is off, or as given`, () => {
    assert.equal(termsOf({})[name], false)
    assert.equal(termsOf({ [name]: false })[name], false)
    assert.equal(termsOf({ [name]: 1 })[name], 1)
    assert.equal(termsOf({ [name]: 2 ** 31 - 1 })[name], 2 ** 31 - 1)
  })
}

test('the handshake timeout is 10 s, off, or as given', () => {
  const timeoutOf = (limits: LifecycleOptions['limits']) => resolveOptions({ limits } as LifecycleOptions).limits.handshakes.timeout
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

// ——— routes

test('a route that says nothing shares the terms of the plugin: no object of its own', () => {
  const terms = termsOf({ idleTimeout: 60_000 })
  for (const route of [undefined, {}, { keepRequest: true }]) assert.equal(resolveRouteOptions('/jobs', route, terms).terms, terms)
})

const INHERITED: Array<[plugin: TermsOptions, route: TermsOptions, terms: object]> = [
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
  [{ maxLifetime: 60_000 }, { heartbeat: true }, { maxLifetime: 60_000, heartbeat: DEFAULT }]
]

for (const [plugin, route, expected] of INHERITED) {
  test(`plugin ${JSON.stringify(plugin)} and route ${JSON.stringify(route)} make ${JSON.stringify(expected)}`, () => {
    const terms = routeTerms(plugin, route)
    assert.deepEqual(terms, { ...termsOf(plugin), ...expected })
    assert.ok(Object.isFrozen(terms))
  })
}

const WRONG: Array<[option: keyof TermsOptions, allowed: RegExp, ...given: unknown[]]> = [
  ['heartbeat', /true, false or an object/, 1, '25s', 0],
  ['heartbeat', /an object/, null, []],
  ['idleTimeout', /false or a positive integer \(ms\)/, 0, -1, 1.5, '1m', null, true, 2 ** 31],
  ['maxLifetime', /false or a positive integer \(ms\)/, 0, -1, 1.5, '1h', null, true, 2 ** 31]
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
  assert.throws(() => resolveRouteOptions('/jobs', { heartbeat: { every: 1 } as never }), { message: 'config.sockets of route /jobs.heartbeat must be without unknown keys (known: interval, maxMissed), got "every"' })
})

test('limits and clock are no options of a route', () => {
  for (const key of ['limits', 'clock']) assert.throws(() => resolveRouteOptions('/jobs', { [key]: {} } as never), { code: 'SOCKETS_ERR_INVALID_OPTION' })
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
  // Nobody has asked for the interval: a short idle timeout is no mistake.
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
