/**
 * The names of all options, and the error for an unknown one. The error names the place where the option belongs, or the option
 * that was probably meant.
 */
import { check, show } from '../base/check.ts'
import { nearMatch } from '../base/near-match.ts'
import { defaults } from './defaults.ts'

/** Options of `register` itself. */
const FASTIFY_KEYS = ['prefix', 'logLevel', 'logSerializers', 'encapsulate']
const WEBSOCKET_KEYS = ['options', 'errorHandler', 'preClose']
const OWN_KEYS = [
  'owner', 'data', 'onOpen', 'onDrain', 'drain', 'closeTimeout', 'cleanupTimeout', 'signals', 'readiness', 'history', 'isolation', 'errorCode', 'limits', 'allowedOrigins', 'refusal', 'mode', 'fleet', 'onOutage', 'clock'
]
/** Options of a ws server (8.x), without those that have no use here, such as `port`. */
const WS_KEYS = [
  'allowSynchronousEvents', 'autoPong', 'clientTracking', 'handleProtocols', 'maxBufferedChunks', 'maxFragments', 'maxPayload', 'perMessageDeflate', 'server', 'skipUTF8Validation', 'verifyClient', 'WebSocket'
]

/** Options of the plugin that a route can override. */
export const CONNECTION_KEYS = ['heartbeat', 'idleTimeout', 'maxLifetime', 'messageRate', 'backpressure']
export const PLUGIN_KEYS = [...WEBSOCKET_KEYS, ...OWN_KEYS, ...CONNECTION_KEYS, ...FASTIFY_KEYS]
export const DRAIN_KEYS = ['timeout', 'terminationGracePeriod', 'preStop', 'reserve', 'settleDelay', 'spread', 'code', 'reason', 'reconnect', 'move', 'farewells']
export const HISTORY_KEYS = ['size', 'keep']
export const ROUTE_KEYS = [...Object.keys(defaults.route), ...CONNECTION_KEYS]

/** Where options belong whose names exist in one place only. */
const PLACES: Array<{ hint: string, path: string[], keys: readonly string[] }> = [
  { hint: 'it is an option of the plugin:', path: [], keys: [...WEBSOCKET_KEYS, ...OWN_KEYS] },
  { hint: 'it is an option of ws:', path: ['options'], keys: WS_KEYS },
  { hint: 'it belongs in', path: ['drain'], keys: DRAIN_KEYS },
  { hint: 'it belongs in', path: ['drain', 'reconnect'], keys: Object.keys(defaults.drain.reconnect) },
  { hint: 'it belongs in', path: ['history'], keys: HISTORY_KEYS },
  { hint: 'it belongs in', path: ['limits'], keys: Object.keys(defaults.limits) },
  { hint: 'it is an option of a route:', path: ['config', 'sockets'], keys: Object.keys(defaults.route) }
]

/**
 * Throws SOCKETS_ERR_INVALID_OPTION if `given` is not an object or has an unknown key. `example` is the path of the option
 * that a bare number was probably meant for; `also` names what is allowed besides an object.
 */
export function knownKeys (path: string, given: object, known: readonly string[], example?: string, also = ''): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const suggestion = typeof given === 'number' && example !== undefined ? ` such as { ${nested(example.split('.'), given)} }` : ''
    check.wrong(path || 'options', `${also}an object${suggestion}`, show(given))
  }
  for (const [key, value] of Object.entries(given)) {
    if (!known.includes(key)) check.fail(`unknown option "${key}"${path && ` in ${path}`}; ${hintFor(key, value, known)}`)
  }
}

function hintFor (key: string, value: unknown, known: readonly string[]): string {
  const place = PLACES.find(({ keys }) => keys.includes(key))
  if (place !== undefined) return `${place.hint} ${nested([...place.path, key], value)}`
  const near = nearMatch(key, known)
  return near === undefined ? `the known ones are ${known.join(', ')}` : `did you mean "${near}"?`
}

/** Writes an option at its path: `drain: { timeout: 8000 }`. */
function nested (path: string[], value: unknown): string {
  const isSimple = ['string', 'number', 'boolean'].includes(typeof value)
  return path.reduceRight((inner, key, index) => `${key}: ${index === path.length - 1 ? inner : `{ ${inner} }`}`, isSimple ? show(value) : '…')
}
