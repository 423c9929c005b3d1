/**
 * The default of every option: the one place. docs/reference/options.md is compared with it.
 */
import type { FastifyRequest } from 'fastify'
import { CloseCode } from '../base/close-codes.ts'
import type { RateSettings } from '../connection/settings.ts'
import type { DrainReason } from '../drain/reconnect.ts'
import type { Spread } from '../drain/schedule.ts'
import type { AllowedOrigins } from '../limit/origin.ts'
import type { Mode } from '../track/observation.ts'
import type { LimitOptions, ReadinessOptions } from './options.ts'

/** The defaults; frozen. */
export const defaults = Object.freeze({
  drain: Object.freeze({
    timeout: 8_000,
    preStop: 0,
    reserve: 5_000,
    settleDelay: 0,
    spread: 'auto' as Spread,
    code: CloseCode.ServiceRestart as number,
    reason: 'service restart' as DrainReason,
    reconnect: Object.freeze({ rate: 200, minDelay: 1_000, maxDelay: 60_000 }),
    move: true as boolean,
    farewells: false as boolean
  }),
  cleanupTimeout: 5_000,
  signals: false as boolean,
  readiness: false as ReadinessOptions | false,
  history: 256,
  isolation: true,
  errorCode: CloseCode.InternalError as number,
  heartbeat: Object.freeze({ interval: 25_000, maxMissed: 2 }),
  idleTimeout: false as number | false,
  maxLifetime: false as number | false,
  messageRate: false as RateSettings | false,
  backpressure: Object.freeze({ maxStallTime: 300_000 as number | false, maxBufferedBytes: false as number | false, policy: 'close' as 'close' | 'drop' }),
  limits: Object.freeze({
    total: false as LimitOptions | false,
    perOwner: false as LimitOptions | false,
    perAddress: false as LimitOptions | false,
    pressure: false as boolean,
    handshakes: Object.freeze({ max: false as number | false, timeout: 10_000 as number | false })
  }),
  allowedOrigins: 'report' as AllowedOrigins<FastifyRequest>,
  refusal: 'http' as 'http' | 'close',
  mode: 'enforce' as Mode,
  onOutage: 'local' as 'local' | 'refuse',
  route: Object.freeze({ holdMessages: false, keepRequest: false, waitForHandler: false })
})
