import assert from 'node:assert/strict'
import test from 'node:test'
import { defaults, resolveOptions, resolveRouteOptions } from '../../lib/options.ts'
import type { LifecycleOptions, RouteSocketOptions } from '../../lib/options.ts'
import { codeIn, readDocument, tables } from './markdown.ts'

const document = readDocument('docs/options.md')
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
    const list = /\(known: (.*)\)/.exec((error as Error).message)
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

test('docs/options.md names each option once', () => {
  assert.equal(documented.size, rows.length)
})

test('docs/options.md says the default of every option that has one', () => {
  const said = flatten(defaults).map(([name]) => [name, documented.has(name) ? valueOf(documented.get(name)!) : 'missing'])
  assert.deepEqual(said, flatten(defaults))
})

test('docs/options.md calls a default what is one, and no more', () => {
  const known = new Set(flatten(defaults).map(([name]) => name))
  const others = [...documented].filter(([name]) => !known.has(name))
  const { signals } = resolveOptions({ signals: {} })
  for (const [name, cell] of others) {
    if (name === 'closeTimeout') assert.match(cell, /^`min\(2000, drain\.timeout \/ 5\)`/)
    else if (name === 'signals.errors') assert.deepEqual({ errors: valueOf(cell) }, signals)
    else assert.equal(cell, 'none', name)
  }
})

test('docs/options.md lists the keys that are taken, and no others', () => {
  const wrong = { nope: 1 }
  const fastifyKeys = ['prefix', 'logLevel', 'logSerializers', 'encapsulate']
  const groups = { drain: 'drain.', 'drain.reconnect': 'drain.reconnect.', signals: 'signals.' }
  const taken = [
    ...knownKeys(() => resolveOptions(wrong as LifecycleOptions)).filter((key) => !fastifyKeys.includes(key)),
    ...knownKeys(() => resolveOptions({ drain: wrong } as LifecycleOptions)).map((key) => `drain.${key}`),
    ...knownKeys(() => resolveOptions({ drain: { reconnect: wrong } } as LifecycleOptions)).map((key) => `drain.reconnect.${key}`),
    ...knownKeys(() => resolveOptions({ signals: wrong } as LifecycleOptions)).map((key) => `signals.${key}`),
    ...knownKeys(() => resolveRouteOptions('/', wrong as RouteSocketOptions)).map((key) => `route.${key}`)
  ]
    // A group is no option by itself, unless it can be true or false.
    .filter((name) => !(name in groups) || name === 'signals')
  assert.deepEqual([...documented.keys()].toSorted(), taken.toSorted())
})

test('closeTimeout follows from drain.timeout as docs/options.md says', () => {
  for (const timeout of [1_000, 5_000, 8_000, 10_000, 60_000]) {
    assert.equal(resolveOptions({ drain: { timeout } }).closeTimeout, Math.min(2000, timeout / 5))
  }
})
