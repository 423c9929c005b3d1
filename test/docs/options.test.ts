/**
 * docs/reference/options.md: every option once, with the default that the code has.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { defaults } from '../../lib/options/defaults.ts'
import type { LifecycleOptions, RouteSocketOptions } from '../../lib/options/options.ts'
import { resolveOptions, resolveRouteOptions } from '../../lib/options/resolve.ts'
import { systemClock } from '../../lib/base/clock.ts'
import { codeIn, readDocument, tables } from './markdown.ts'

const document = readDocument('docs/reference/options.md')
/** What the plugin says for all routes, and a route for itself. */
const SETTINGS = ['heartbeat', 'idleTimeout', 'maxLifetime', 'messageRate', 'backpressure'].map((name) => `route.${name}`)
const columns = ['type', 'default', 'what it does']
const rows = [
  ...tables(document, 'option', ...columns).map((row) => ({ ...row, name: codeIn(row.option)! })),
  ...tables(document, 'route option', ...columns).map((row) => ({ ...row, name: `route.${codeIn(row['route option'])!}` }))
]
const documented = new Map(rows.map((row) => [row.name, (row as Record<string, string>).default!]))

/** `{ drain: { timeout: 8000 } }` → `[['drain.timeout', 8000]]` */
function flatten (object: object, path = ''): Array<[name: string, value: unknown]> {
  return Object.entries(object).flatMap(([key, value]) => typeof value === 'object' && value !== null
    ? flatten(value, `${path}${key}.`)
    : [[`${path}${key}`, value] as [string, unknown]])
}

/** The keys that are taken, which a refusal of an unknown one names. */
function knownKeys (resolve: () => unknown): string[] {
  try {
    resolve()
  } catch (error) {
    const list = /; the known ones are (.*)$/.exec((error as Error).message)
    if (list !== null) return list[1]!.split(', ')
  }
  throw new Error('an unknown key was not refused')
}

/** The value behind a cell such as `8000`, or 'service restart'. */
function valueOf (cell: string): unknown {
  const code = /^`([^`]+)`/.exec(cell)?.[1]
  assert.ok(code, `a default begins with its value as code, got "${cell}"`)
  return JSON.parse(code.replaceAll('\'', '"'))
}

test('docs/reference/options.md names each option once', () => {
  assert.equal(documented.size, rows.length)
})

test('docs/reference/options.md says the default of every option that has one', () => {
  const said = flatten(defaults).map(([name]) => [name, documented.has(name) ? valueOf(documented.get(name)!) : 'missing'])
  assert.deepEqual(said, flatten(defaults))
})

test('docs/reference/options.md calls a default what is one, and no more', () => {
  const known = new Set(flatten(defaults).map(([name]) => name))
  const others = [...documented].filter(([name]) => !known.has(name))
  const { signals, settings, clock } = resolveOptions({ signals: {} })
  const { messageRate } = resolveOptions({ messageRate: { max: 7 } }).settings
  const { limits } = resolveOptions({ limits: { total: { max: 7 }, perOwner: { max: 7 }, perAddress: { max: 7 } } })
  for (const [name, cell] of others) {
    if (name === 'closeTimeout') assert.match(cell, /^`min\(2000, drain\.timeout \/ 5\)`/)
    else if (name.startsWith('signals.')) assert.equal(valueOf(cell), (signals as never as Record<string, unknown>)[name.slice(8)], name)
    else if (name === 'heartbeat') assert.deepEqual(resolveOptions({ heartbeat: valueOf(cell) as boolean }).settings, settings)
    else if (name === 'backpressure') assert.equal(cell, 'the next three')
    else if (/^limits\.\w+\.(policy|scope)$/.test(name)) assert.equal(valueOf(cell), (limits as never as Record<string, Record<string, string>>)[name.split('.')[1]!]![name.split('.')[2]!], name)
    else if (name === 'messageRate.burst') assert.deepEqual([cell, messageRate && messageRate.burst], ['`max`', 7])
    else if (name === 'messageRate.timeWindow' || name === 'messageRate.policy') assert.equal(valueOf(cell), (messageRate as never as Record<string, unknown>)[name.split('.')[1]!], name)
    else if (name === 'history.size') assert.equal(valueOf(cell), resolveOptions({ history: {} }).history.size)
    else if (name === 'history.keep') assert.deepEqual([cell, resolveOptions({ history: {} }).history], ['`[]`', { size: 256, owner: false, ip: false }])
    else if (name === 'clock') assert.deepEqual([cell, clock], ['the real one', systemClock])
    else if (SETTINGS.includes(name)) assert.equal(cell, 'the plugin\'s', name)
    else assert.equal(cell, 'none', name)
  }
})

test('what a route leaves out is the plugin\'s, as docs/reference/options.md says', () => {
  const { settings } = resolveOptions({ heartbeat: { interval: 10_000, maxMissed: 3 }, idleTimeout: 60_000, maxLifetime: 3_600_000 })
  assert.deepEqual(resolveRouteOptions('/', {}, settings).settings, settings)
  assert.deepEqual(resolveRouteOptions('/', { heartbeat: { maxMissed: 4 } }, settings).settings, { ...settings, heartbeat: { interval: 10_000, maxMissed: 4 } })
  assert.deepEqual(resolveRouteOptions('/', { backpressure: { policy: 'drop' } }, settings).settings, { ...settings, backpressure: { ...settings.backpressure, policy: 'drop' } })
})

test('docs/reference/options.md lists the keys that are taken, and no others', () => {
  const wrong = { nope: 1 }
  const fastifyKeys = ['prefix', 'logLevel', 'logSerializers', 'encapsulate']
  const groups = ['drain', 'drain.reconnect', 'limits', 'limits.handshakes']
  /** The keys of a group, which lies as deep as its path says. */
  const keysOf = (path: string) => knownKeys(() => resolveOptions(path.split('.').reduceRight((inner: object, key) => ({ [key]: inner }), wrong) as LifecycleOptions))
    .map((key) => `${path}.${key}`)
  const taken = [
    ...knownKeys(() => resolveOptions(wrong as LifecycleOptions)).filter((key) => !fastifyKeys.includes(key)),
    // The others can be true or false as well, and are options by themselves.
    ...[...groups, 'signals', 'history', 'heartbeat', 'messageRate', 'backpressure', 'limits.total', 'limits.perOwner', 'limits.perAddress'].flatMap(keysOf),
    ...knownKeys(() => resolveRouteOptions('/', wrong as RouteSocketOptions)).map((key) => `route.${key}`)
  ]
    .filter((name) => !groups.includes(name))
  assert.deepEqual([...documented.keys()].toSorted(), taken.toSorted())
})

test('closeTimeout follows from drain.timeout as docs/reference/options.md says', () => {
  for (const timeout of [1_000, 5_000, 8_000, 10_000, 60_000]) {
    assert.equal(resolveOptions({ drain: { timeout } }).closeTimeout, Math.min(2000, timeout / 5))
  }
})
