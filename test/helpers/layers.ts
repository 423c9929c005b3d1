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

/** Lowest first; an import goes sideways or down. A name with `.ts` is a file, any other a folder. */
const LAYERS = [
  ['core'],
  ['policies'],
  ['options.ts'],
  ['option-keys.ts'],
  ['resolve-options.ts'],
  ['overseer.ts', 'app-sockets.ts'],
  ['tracker.ts'],
  ['transport', 'process', 'observe', 'cluster', 'page'],
  ['plugin.ts', 'closing.ts', 'doorkeeper.ts', 'intake.ts', 'routes.ts'],
  ['index.ts', 'testing']
]

/** Packages whose values only these places may import. */
const OWNERS: Record<string, string[]> = {
  fastify: ['plugin.ts', 'index.ts'],
  '@fastify/websocket': ['plugin.ts', 'index.ts'],
  'fastify-plugin': ['plugin.ts', 'index.ts'],
  ws: ['transport/', 'testing/'],
  'close-with-grace': ['process/signals.ts']
}

const CORE_PACKAGES = ['@fastify/error']
const CORE_FORBIDDEN_BUILTINS = /^node:(net|http|https|http2|tls|dgram|timers)(\/|$)/
/** Where all time comes from. */
const CLOCK = 'core/clock.ts'

const MAX_LINES = 300
/** Files that may be longer, each with its reason. Empty, and meant to stay so. */
const LONG_FILES: string[] = []

const VAGUE_NAMES = ['utils', 'helpers', 'common', 'types']

/** Returns one sentence for every breach; none means that the tree keeps all rules. */
export function checkTree (tree: Tree): string[] {
  return [...tree].flatMap(([file, source]) => [
    ...checkFile(file, source),
    ...readImports(source).flatMap((found) => checkImport(file, found))
      .map((breach) => `lib/${file} ${breach}`)
  ])
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
  const known = layerOf(file) >= 0
  if (known && layerOf(target) > layerOf(file)) breaches.push(`imports "${specifier}", up from ${nameOf(file)} to ${nameOf(target)}`)
  const [from, to] = [policyOf(file), policyOf(target)]
  if (from !== null && to !== null && from !== to) breaches.push(`imports "${specifier}": the policy "${from}" may not know of "${to}"`)
  return breaches
}

function checkBuiltin (file: string, specifier: string, typeOnly: boolean): string[] {
  if (!specifier.startsWith('node:')) return [`imports "${specifier}" without node:`]
  if (!typeOnly && file.startsWith('core/') && file !== CLOCK && CORE_FORBIDDEN_BUILTINS.test(specifier)) return [`imports "${specifier}": core/ has no sockets and no timers`]
  return []
}

function checkPackage (file: string, specifier: string): string[] {
  const name = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
  if (file.startsWith('core/') && !CORE_PACKAGES.includes(name)) {
    return [`imports values of "${specifier}": core/ takes none but ${CORE_PACKAGES.join(', ')} (\`import type\` is fine)`]
  }
  const owners = OWNERS[name]
  if (owners?.some((owner) => file === owner || (owner.endsWith('/') && file.startsWith(owner))) === false) {
    return [`imports values of "${specifier}", which only ${owners.join(', ')} may (\`import type\` is fine)`]
  }
  return []
}

/** The first part of a path decides: a folder, or a file right below lib/. */
function nameOf (file: string): string {
  return file.split('/')[0] ?? ''
}

function layerOf (file: string): number {
  return LAYERS.findIndex((layer) => layer.includes(nameOf(file)))
}

/** policies/rate.ts → rate; policies/drain/phases.ts → drain: a folder is one policy. */
function policyOf (file: string): string | null {
  const [folder, name] = file.split('/')
  return folder === 'policies' && name !== undefined ? name.replace(/\.ts$/, '') : null
}
