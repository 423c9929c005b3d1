/**
 * The names of all options, and what an error says about one that is not known where it was given: the place it belongs to, or the
 * name that was meant.
 */
import { check, show } from '../base/check.ts'
import { nearMatch } from '../base/near-match.ts'
import { defaults } from './options.ts'

/** What Fastify itself takes in the options of `register`. */
const FASTIFY_KEYS = ['prefix', 'logLevel', 'logSerializers', 'encapsulate']
const WEBSOCKET_KEYS = ['options', 'errorHandler', 'preClose']
const OWN_KEYS = [
  'owner', 'data', 'onOpen', 'onDrain', 'drain', 'closeTimeout', 'cleanupTimeout', 'signals', 'readiness', 'history', 'isolation', 'errorCode', 'limits', 'allowedOrigins', 'refusal', 'mode', 'clock'
]
/** Of a ws server (8.x), without those that make no sense here, such as `port`. */
const WS_KEYS = [
  'allowSynchronousEvents', 'autoPong', 'clientTracking', 'handleProtocols', 'maxBufferedChunks', 'maxFragments', 'maxPayload', 'perMessageDeflate', 'server', 'skipUTF8Validation', 'verifyClient', 'WebSocket'
]

export const TERMS_KEYS = ['heartbeat', 'idleTimeout', 'maxLifetime', 'messageRate', 'backpressure']
export const PLUGIN_KEYS = [...WEBSOCKET_KEYS, ...OWN_KEYS, ...TERMS_KEYS, ...FASTIFY_KEYS]
export const DRAIN_KEYS = ['timeout', 'terminationGracePeriod', 'preStop', 'reserve', 'settleDelay', 'spread', 'code', 'reason', 'reconnect', 'farewells']
export const ROUTE_KEYS = [...Object.keys(defaults.route), ...TERMS_KEYS]

/** Where options belong, for those whose name says so alone. */
const HOMES: Array<{ says: string, path: string[], keys: readonly string[] }> = [
  { says: 'it is an option of the plugin:', path: [], keys: [...WEBSOCKET_KEYS, ...OWN_KEYS] },
  { says: 'it is an option of ws:', path: ['options'], keys: WS_KEYS },
  { says: 'it belongs in', path: ['drain'], keys: DRAIN_KEYS },
  { says: 'it belongs in', path: ['drain', 'reconnect'], keys: Object.keys(defaults.drain.reconnect) },
  { says: 'it belongs in', path: ['limits'], keys: Object.keys(defaults.limits) },
  { says: 'it is an option of a route:', path: ['config', 'sockets'], keys: Object.keys(defaults.route) }
]

/**
 * Throws SOCKETS_ERR_INVALID_OPTION when `given` is no object or has a key that is not known. `example` is the path of the option
 * that a bare number was probably meant for, `also` what is allowed beside an object.
 */
export function knownKeys (path: string, given: object, known: readonly string[], example?: string, also = ''): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const suggestion = typeof given === 'number' && example !== undefined ? ` such as { ${nested(example.split('.'), given)} }` : ''
    check.wrong(path || 'options', `${also}an object${suggestion}`, show(given))
  }
  for (const [key, value] of Object.entries(given)) {
    if (!known.includes(key)) check.fail(`unknown option "${key}"${path && ` in ${path}`}; ${remedyFor(key, value, known)}`)
  }
}

function remedyFor (key: string, value: unknown, known: readonly string[]): string {
  const home = HOMES.find(({ keys }) => keys.includes(key))
  if (home !== undefined) return `${home.says} ${nested([...home.path, key], value)}`
  const near = nearMatch(key, known)
  return near === undefined ? `the known ones are ${known.join(', ')}` : `did you mean "${near}"?`
}

/** An option as it is to be written: `drain: { timeout: 8000 }`. */
function nested (path: string[], value: unknown): string {
  const isSimple = ['string', 'number', 'boolean'].includes(typeof value)
  return path.reduceRight((inner, key, index) => `${key}: ${index === path.length - 1 ? inner : `{ ${inner} }`}`, isSimple ? show(value) : '…')
}
