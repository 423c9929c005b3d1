/**
 * Checks, fills and freezes the option `limits`.
 */
import { check } from '../base/check.ts'
import { LIMIT_POLICIES, LIMIT_SCOPES } from '../limit/admission-decision.ts'
import type { Limit, LimitPolicy, LimitScope, Limits } from '../limit/admission-decision.ts'
import { defaults } from './defaults.ts'
import { knownKeys } from './keys.ts'
import type { LimitsOptions, SharedLimitOptions } from './options.ts'
import { integerOrFalse, oneOf, required } from './values.ts'

/** Limits, checked, filled and frozen. */
export type ResolvedLimits = Limits & { readonly pressure: boolean, readonly handshakeTimeout: number | false }

/** `fleet`: the option of this name is given. */
export function resolveLimits (given: LimitsOptions = {}, fleet: boolean): ResolvedLimits {
  knownKeys('limits', given, Object.keys(defaults.limits), 'total.max')
  const { handshakes = {} } = given
  knownKeys('limits.handshakes', handshakes, Object.keys(defaults.limits.handshakes), 'max')
  const limits = {
    total: resolveLimit('limits.total', given.total, true),
    perOwner: resolveLimit('limits.perOwner', given.perOwner, true),
    perAddress: resolveLimit('limits.perAddress', given.perAddress, false),
    pressure: check.flag('limits.pressure', given.pressure, defaults.limits.pressure),
    handshakes: integerOrFalse('limits.handshakes.max', handshakes.max, defaults.limits.handshakes.max, 'a positive integer'),
    handshakeTimeout: integerOrFalse('limits.handshakes.timeout', handshakes.timeout, defaults.limits.handshakes.timeout, 'a positive integer (ms)')
  }
  for (const part of ['perOwner', 'perAddress'] as const) {
    const { total, [part]: limit } = limits
    if (total !== false && limit !== false && limit.max > total.max) {
      check.conflict(`limits.${part}.max ${limit.max} is above limits.total.max ${total.max}: it could never be reached`)
    }
  }
  for (const part of ['total', 'perOwner'] as const) {
    const { [part]: limit } = limits
    if (limit !== false && limit.scope === 'fleet' && !fleet) {
      check.conflict(`limits.${part}: scope 'fleet' needs the option fleet, which says how nodes find each other: give it, or leave out the scope`)
    }
  }
  return Object.freeze(limits)
}

function resolveLimit (path: string, given: SharedLimitOptions | false | undefined, canShare: boolean): Limit | false {
  if (given === undefined || given === false) return false
  knownKeys(path, given, canShare ? ['max', 'policy', 'scope'] : ['max', 'policy'], 'max', 'false or ')
  const limit = {
    max: required(`${path}.max`, given.max),
    policy: oneOf<LimitPolicy>(`${path}.policy`, given.policy, 'refuse', LIMIT_POLICIES),
    scope: oneOf<LimitScope>(`${path}.scope`, given.scope, 'node', LIMIT_SCOPES)
  }
  if (limit.scope === 'fleet' && limit.policy === 'evict-idlest') {
    check.conflict(`${path}: policy 'evict-idlest' does not go with scope 'fleet', because nodes do not share when a client was last heard: take 'evict-oldest'`)
  }
  return Object.freeze(limit)
}
