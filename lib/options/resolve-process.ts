/**
 * Checks and fills the options about the process around the server: signals, and the readiness route.
 */
import type { RouteShorthandOptions } from 'fastify'
import { check } from '../base/check.ts'
import { STOP_SIGNALS } from '../drain/signals.ts'
import type { StopSignal } from '../drain/signals.ts'
import { defaults } from './defaults.ts'
import { knownKeys } from './keys.ts'
import type { LifecycleOptions, ReadinessOptions, SignalOptions } from './options.ts'

export function resolveSignals (given: LifecycleOptions['signals']): false | Required<SignalOptions> {
  if (typeof given !== 'object' || given === null) {
    return check.flag('signals', given, defaults.signals, 'true, false, a list of signals or an object') && resolveSignals({})
  }
  if (Array.isArray(given)) return Object.freeze({ only: signalList('signals', given), errors: false })
  const { only, errors } = given as SignalOptions
  knownKeys('signals', given, ['only', 'errors'])
  return Object.freeze({ only: only === false ? false : signalList('signals.only', only), errors: check.flag('signals.errors', errors, false) })
}

function signalList (path: string, given: unknown): readonly StopSignal[] | false {
  const isList = (value: unknown) => Array.isArray(value) && value.every((signal) => STOP_SIGNALS.includes(signal as StopSignal))
  const list = check.where<readonly StopSignal[] | false>(path, given, false, isList, `false or a list of ${STOP_SIGNALS.join(', ')}`)
  return list && Object.freeze([...list])
}

export function resolveReadiness (given: LifecycleOptions['readiness']): false | (RouteShorthandOptions & { url: string }) {
  if (given === undefined || given === false) return false
  const route = typeof given === 'object' && given !== null && !Array.isArray(given) ? { ...given } : { url: given }
  const isPath = typeof route.url === 'string' && route.url.startsWith('/')
  check.where('readiness', isPath ? route.url : given, '', () => isPath, 'false, a path that starts with /, or route options with such a url')
  return Object.freeze(route as Exclude<ReadinessOptions, string>)
}
