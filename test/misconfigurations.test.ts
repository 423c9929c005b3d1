/**
 * Mistakes that users make, and what they are told: the name of the option, what was given, what is allowed, and what to write
 * instead. options.test.ts has the types and ranges of every option.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { POLICIES } from '../lib/core/enforcement.ts'
import type { LifecycleOptions, RouteSocketOptions } from '../lib/options.ts'
import { resolveOptions, resolveRouteOptions } from '../lib/resolve-options.ts'

const INVALID = 'SOCKETS_ERR_INVALID_OPTION'
const CONFLICT = 'SOCKETS_ERR_OPTION_CONFLICT'

const ORIGINS = "allowedOrigins must be 'report', 'same-origin', false, a function, or a list of origins such as ['https://example.com'], got "

const MISTAKES: Array<[given: object, code: string, message: string]> = [
  // Names.
  [{ heartbeet: false }, INVALID, 'unknown option "heartbeet"; did you mean "heartbeat"?'],
  [{ closeTimeOut: 5 }, INVALID, 'unknown option "closeTimeOut"; did you mean "closeTimeout"?'],
  [{ mode: { ping: 'observe' } }, INVALID, `unknown option "ping" in mode; the known ones are ${POLICIES.join(', ')}`],
  // Places.
  [{ maxPayload: 1024 }, INVALID, 'unknown option "maxPayload"; it is an option of ws: options: { maxPayload: 1024 }'],
  [{ perMessageDeflate: true }, INVALID, 'unknown option "perMessageDeflate"; it is an option of ws: options: { perMessageDeflate: true }'],
  [{ verifyClient: () => true }, INVALID, 'unknown option "verifyClient"; it is an option of ws: options: { verifyClient: … }'],
  [{ terminationGracePeriod: 30_000 }, INVALID, 'unknown option "terminationGracePeriod"; it belongs in drain: { terminationGracePeriod: 30000 }'],
  [{ minDelay: 500 }, INVALID, 'unknown option "minDelay"; it belongs in drain: { reconnect: { minDelay: 500 } }'],
  [{ perOwner: { max: 5 } }, INVALID, 'unknown option "perOwner"; it belongs in limits: { perOwner: … }'],
  [{ keepRequest: true }, INVALID, 'unknown option "keepRequest"; it is an option of a route: config: { sockets: { keepRequest: true } }'],
  [{ drain: { closeTimeout: 500 } }, INVALID, 'unknown option "closeTimeout" in drain; it is an option of the plugin: closeTimeout: 500'],
  [{ drain: { rate: 500 } }, INVALID, 'unknown option "rate" in drain; it belongs in drain: { reconnect: { rate: 500 } }'],
  // Numbers for objects.
  [{ heartbeat: 30_000 }, INVALID, 'heartbeat must be true, false or an object such as { interval: 30000 }, got 30000'],
  [{ drain: 8_000 }, INVALID, 'drain must be an object such as { timeout: 8000 }, got 8000'],
  [{ drain: { reconnect: 50 } }, INVALID, 'drain.reconnect must be an object such as { rate: 50 }, got 50'],
  [{ limits: 100 }, INVALID, 'limits must be an object such as { total: { max: 100 } }, got 100'],
  [{ limits: { perOwner: 5 } }, INVALID, 'limits.perOwner must be false or an object such as { max: 5 }, got 5'],
  [{ limits: { handshakes: 50 } }, INVALID, 'limits.handshakes must be an object such as { max: 50 }, got 50'],
  [{ messageRate: 10 }, INVALID, 'messageRate must be false or an object such as { max: 10 }, got 10'],
  [{ backpressure: 65_536 }, INVALID, 'backpressure must be false or an object such as { maxBufferedBytes: 65536 }, got 65536'],
  // Without a number there is nothing to make an example of.
  [{ drain: true }, INVALID, 'drain must be an object, got true'],
  // Left out.
  [{ messageRate: { burst: 5 } }, INVALID, 'messageRate.max is missing: it must be a positive integer'],
  [{ limits: { total: {} } }, INVALID, 'limits.total.max is missing: it must be a positive integer'],
  // Seconds for milliseconds.
  [{ drain: { terminationGracePeriod: 30 } }, CONFLICT,
    'drain: terminationGracePeriod 30 − preStop 0 − reserve 5000 = -4970 ms, which leaves no time to drain; terminationGracePeriod 30 looks like seconds: durations are milliseconds'],
  [{ drain: { terminationGracePeriod: 30, timeout: 20 } }, CONFLICT,
    'drain: preStop 0 + timeout 20 + reserve 5000 = 5020 ms is more than terminationGracePeriod 30 ms; terminationGracePeriod 30 looks like seconds: durations are milliseconds'],
  [{ heartbeat: { interval: 30_000 }, idleTimeout: 60 }, CONFLICT,
    'idleTimeout 60 ms is not longer than heartbeat.interval 30000 ms: a silent client would be closed before it is pinged; idleTimeout 60 looks like seconds: durations are milliseconds'],
  // Origins.
  [{ allowedOrigins: ['https://*.example.com', 'https://ok.example', 'https://example.com/'] }, INVALID,
    `${ORIGINS}entry 0 "https://*.example.com": no wildcards, use a function; entry 2 "https://example.com/": no trailing slash, write "https://example.com"`],
  [{ allowedOrigins: ['example.com', 'https://example.com/chat', 'https://', 7] }, INVALID,
    `${ORIGINS}entry 0 "example.com": the scheme is missing, as in "https://example.com"; entry 1 "https://example.com/chat": nothing may follow the host, write "https://example.com"; ` +
    'entry 2 "https://": not a host and port; entry 3 7: an origin is a string'],
  [{ allowedOrigins: 'https://example.com' }, INVALID, `${ORIGINS}"https://example.com": put it into a list, ["https://example.com"]`],
  [{ allowedOrigins: '*' }, INVALID, `${ORIGINS}"*": false lets every page in`],
  [{ allowedOrigins: true }, INVALID, `${ORIGINS}true: false lets every page in`],
  [{ allowedOrigins: 'same-site' }, INVALID, `${ORIGINS}"same-site"`]
]

for (const [given, code, message] of MISTAKES) {
  test(message, () => {
    assert.throws(() => resolveOptions(given as LifecycleOptions), { code, message })
  })
}

const ROUTE_MISTAKES: Array<[given: object, message: string]> = [
  [{ heartbeet: false }, 'unknown option "heartbeet" in config.sockets of route /jobs; did you mean "heartbeat"?'],
  [{ limits: {} }, 'unknown option "limits" in config.sockets of route /jobs; it is an option of the plugin: limits: …'],
  [{ maxPayload: 9 }, 'unknown option "maxPayload" in config.sockets of route /jobs; it is an option of ws: options: { maxPayload: 9 }'],
  [{ heartbeat: 30_000 }, 'config.sockets of route /jobs.heartbeat must be true, false or an object such as { interval: 30000 }, got 30000'],
  [{ messageRate: { burst: 5 } }, 'config.sockets of route /jobs.messageRate.max is missing: it must be a positive integer']
]

for (const [given, message] of ROUTE_MISTAKES) {
  test(message, () => {
    assert.throws(() => resolveRouteOptions('/jobs', given as RouteSocketOptions), { code: INVALID, message })
  })
}
