/**
 * Links of the documents lead somewhere, also in the package.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import test from 'node:test'
import { anchors, documents, exists, readDocument, relativeLinks, ROOT } from './markdown.ts'

test('relative links lead to files of the project', () => {
  const links = documents().flatMap(relativeLinks)
  assert.ok(links.length > 10)
  assert.deepEqual(links.filter(({ path }) => !exists(path)).map(({ place, target }) => `${place}: ${target}`), [])
})

test('anchors of relative links are headings of their documents', () => {
  const links = documents().flatMap(relativeLinks).filter(({ anchor, path }) => anchor !== undefined && path.endsWith('.md'))
  assert.ok(links.length > 0)
  const dead = links.filter(({ path, anchor }) => exists(path) && !anchors(readDocument(path)).has(anchor!))
  assert.deepEqual(dead.map(({ place, target }) => `${place}: ${target}`), [])
})

test('every document of docs/ is linked from its index, which the README links', () => {
  const INDEX = 'docs/README.md'
  const linkedFrom = (path: string) => new Set(relativeLinks(readDocument(path)).map(({ path }) => path))
  const linked = linkedFrom(INDEX)
  assert.ok(linkedFrom('README.md').has(INDEX))
  assert.deepEqual(documents().map(({ path }) => path).filter((path) => path.startsWith('docs/') && path !== INDEX && !linked.has(path)), [])
})

test('relative links of the documents that npm packs lead to files that it packs', () => {
  // --ignore-scripts: prepack would build.
  const output = execFileSync('npm pack --dry-run --json --ignore-scripts', { cwd: ROOT, encoding: 'utf8', shell: true, stdio: ['ignore', 'pipe', 'ignore'] })
  const [{ files }] = JSON.parse(output) as [{ files: Array<{ path: string }> }]
  const packed = new Set(files.map(({ path }) => path))
  const links = documents().filter(({ path }) => packed.has(path)).flatMap(relativeLinks)
  assert.ok(links.length > 10)
  assert.deepEqual(links.filter(({ path }) => !packed.has(path)).map(({ place, target }) => `${place}: ${target}`), [])
})
