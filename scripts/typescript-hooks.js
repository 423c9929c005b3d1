// The hook behind typescript.js. What was transformed once is kept by its content, for all processes that follow.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const CACHE = join(import.meta.dirname, '../node_modules/.cache/typescript')
mkdirSync(CACHE, { recursive: true })

// Relative imports name the file itself: there is nothing to look for, which takes a twelfth of the start of a process.
export function resolve (specifier, context, nextResolve) {
  if (!/^\.{1,2}\/.+\.ts$/.test(specifier)) return nextResolve(specifier, context)
  return { url: new URL(specifier, context.parentURL).href, format: 'module', shortCircuit: true }
}

export function load (url, context, nextLoad) {
  if (!url.startsWith('file:') || !/\.m?ts$/.test(new URL(url).pathname)) return nextLoad(url, context)
  return { format: 'module', source: transform(fileURLToPath(url)), shortCircuit: true }
}

function transform (path) {
  const text = readFileSync(path, 'utf8')
  const file = join(CACHE, createHash('sha256').update(`${path}\n${text}`).digest('hex'))
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // Not at the top: most processes find everything in the cache.
    const { transformSync } = require('esbuild')
    const { code } = transformSync(text, { loader: 'ts', format: 'esm', target: 'es2022', sourcefile: path, sourcemap: 'inline' })
    // Renamed into place: processes that start together write the same file.
    const mine = `${file}.${process.pid}`
    writeFileSync(mine, code)
    renameSync(mine, file)
    return code
  }
}
