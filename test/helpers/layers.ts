/**
 * The rules of the house: which file of lib/ may import what, and how files are named, headed and sized.
 *
 * A pure function over a tree of sources, so that test/layers.test.ts can show that every rule is able to fail.
 */
import { isBuiltin } from 'node:module'
import { posix } from 'node:path'
import { readImports, type Import } from './imports.ts'

/** Path below lib/, with forward slashes → source text. */
export type Tree = Map<string, string>

/** Folders that hold an entry point of their own, which the main one never imports. */
const ENTRIES = ['fleet/redis', 'show/metrics', 'show/page', 'show/tracing']

/** Lowest first; an import goes down, or stays in its room. A name with `.ts` is a file, any other a folder. */
const LAYERS = [
  ['base', 'client'],
  ['connection', 'http'],
  ['track'],
  ['watch', 'limit', 'drain', 'move', 'ws', 'show'],
  ['fleet'],
  ['options'],
  ['wiring.ts'],
  ['handshake'],
  ['plugin.ts'],
  ['index.ts', 'testing', ...ENTRIES]
]

/** Packages whose values only these places may import. */
const OWNERS: Record<string, string[]> = {
  fastify: ['plugin.ts', 'index.ts'],
  '@fastify/websocket': ['plugin.ts', 'index.ts'],
  'fastify-plugin': ['plugin.ts', 'index.ts', ...ENTRIES.map((folder) => `${folder}/`)],
  '@opentelemetry/api': ['show/metrics/', 'show/tracing/'],
  ws: ['ws/', 'testing/'],
  'close-with-grace': ['drain/signals.ts'],
  '@fastify/error': ['base/errors.ts']
}

/** Where raw sockets, HTTP servers and timers are handled; elsewhere the same code runs on a fake clock and a fake socket. */
const SOCKET_ROOMS = ['http/', 'ws/', 'testing/']
const SOCKET_BUILTINS = /^node:(net|http|https|http2|tls|dgram|timers)(\/|$)/
/** Where all time comes from. */
const CLOCK = 'base/clock.ts'
/** Files that need of such a module what opens no socket. */
const SOCKET_EXCEPTIONS: Record<string, string> = {
  'base/internals.ts': 'node:http',
  'limit/address-key.ts': 'node:net',
  'handshake/admission-checks.ts': 'node:http',
  'handshake/refusal-answers.ts': 'node:http'
}

const MAX_LINES = 300
/** Files that may be longer, each with its reason. Empty, and meant to stay so. */
const LONG_FILES: string[] = []

const VAGUE_NAMES = ['utils', 'helpers', 'common', 'types']

/** Returns one sentence for every breach; none means that the tree keeps all rules. */
export function checkTree (tree: Tree): string[] {
  const breaches = [...tree].flatMap(([file, source]) => [
    ...checkFile(file, source),
    ...readImports(source).flatMap((found) => checkImport(file, found))
      .map((breach) => `lib/${file} ${breach}`)
  ])
  return [...breaches, ...checkCycles(tree)]
}

/** Finds files that import each other, by whatever way around; types count. */
function checkCycles (tree: Tree): string[] {
  const breaches: string[] = []
  const done = new Set<string>()
  const visit = (file: string, way: string[]): void => {
    const at = way.indexOf(file)
    if (at !== -1) breaches.push(`lib/${file} is in a cycle of imports: ${[...way.slice(at), file].join(' → ')}`)
    if (at !== -1 || done.has(file)) return
    const source = tree.get(file)
    for (const { specifier } of source === undefined ? [] : readImports(source)) {
      if (specifier.startsWith('.')) visit(posix.join(posix.dirname(file), specifier), [...way, file])
    }
    done.add(file)
  }
  for (const file of tree.keys()) visit(file, [])
  return breaches
}

function checkFile (file: string, source: string): string[] {
  const breaches: string[] = []
  const name = posix.basename(file, '.ts')
  const lines = source.trimEnd().split('\n').length
  if (lines > MAX_LINES && !LONG_FILES.includes(file)) breaches.push(`has ${lines} lines, at most ${MAX_LINES}: look for the second concern in it`)
  if (VAGUE_NAMES.includes(name)) breaches.push(`is called "${name}", which says nothing about its concern`)
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) breaches.push('is not named in kebab-case')
  if (!/^\/[*/]/.test(source)) breaches.push('does not begin with a comment that says what it owns')
  if (/^export default\b/m.test(source) && layerOf(file) < layerOf('plugin.ts')) breaches.push('has a default export; only the plugin has one')
  if (layerOf(file) < 0) breaches.push('is in no known layer: add it to LAYERS in test/helpers/layers.ts')
  return breaches.map((breach) => `lib/${file} ${breach}`)
}

function checkImport (file: string, { specifier, typeOnly }: Import): string[] {
  if (specifier.startsWith('.')) return checkRelative(file, specifier)
  if (isBuiltin(specifier)) return checkBuiltin(file, specifier, typeOnly)
  return typeOnly ? [] : checkPackage(file, specifier)
}

function checkRelative (file: string, specifier: string): string[] {
  const breaches: string[] = []
  const target = posix.join(posix.dirname(file), specifier)
  if (!specifier.endsWith('.ts')) breaches.push(`imports "${specifier}" without .ts`)
  // Types, too: a type that points up is an idea that belongs further down.
  const [from, to] = [layerOf(file), layerOf(target)]
  if (from < 0) return breaches
  if (to > from) breaches.push(`imports "${specifier}", up from ${roomOf(file)} to ${roomOf(target)}`)
  else if (to === from && roomOf(file) !== roomOf(target)) breaches.push(`imports "${specifier}": the room ${roomOf(file)} may not know of ${roomOf(target)}`)
  return breaches
}

function checkBuiltin (file: string, specifier: string, typeOnly: boolean): string[] {
  if (!specifier.startsWith('node:')) return [`imports "${specifier}" without node:`]
  if (typeOnly || !SOCKET_BUILTINS.test(specifier) || file === CLOCK || SOCKET_EXCEPTIONS[file] === specifier) return []
  return SOCKET_ROOMS.some((room) => file.startsWith(room)) ? [] : [`imports "${specifier}": only ${SOCKET_ROOMS.join(', ')} handle sockets, only ${CLOCK} timers`]
}

function checkPackage (file: string, specifier: string): string[] {
  const name = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
  const owners = OWNERS[name]
  if (owners === undefined) return [`imports values of "${specifier}", which no place may: add its owner to OWNERS in test/helpers/layers.ts`]
  const owned = owners.some((owner) => file === owner || (owner.endsWith('/') && file.startsWith(owner)))
  return owned ? [] : [`imports values of "${specifier}", which only ${owners.join(', ')} may (\`import type\` is fine)`]
}

/** An entry point of its own, else the first part of a path: a folder, or a file right below lib/. */
export function roomOf (file: string): string {
  return ENTRIES.find((folder) => file.startsWith(`${folder}/`)) ?? file.split('/')[0] ?? ''
}

function layerOf (file: string): number {
  return LAYERS.findIndex((layer) => layer.includes(roomOf(file)))
}
