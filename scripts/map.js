// Draws the rooms of lib/ and what they import, as Mermaid, into docs/explanation/architecture.md.
//
//   npm run map              rewrites the drawing
//   npm run map -- --check   fails where it is not current
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, posix, sep } from 'node:path'
import './typescript.js'

const { readImports } = await import('../test/helpers/imports.ts')
const { roomOf } = await import('../test/helpers/layers.ts')

const ROOT = join(import.meta.dirname, '..')
const PAGE = join(ROOT, 'docs/explanation/architecture.md')
const DRAWING = /(<!-- map: npm run map -->\n).*?(<!-- end of map -->)/s

const files = readdirSync(join(ROOT, 'lib'), { recursive: true })
  .map((file) => file.replaceAll(sep, '/'))
  .filter((file) => file.endsWith('.ts'))
  .sort()

/** Room → the rooms that it imports, types included. */
const imports = new Map(files.map((file) => [roomOf(file), new Set()]))
for (const file of files) {
  for (const { specifier } of readImports(readFileSync(join(ROOT, 'lib', file), 'utf8'))) {
    const room = specifier.startsWith('.') ? roomOf(posix.join(posix.dirname(file), specifier)) : roomOf(file)
    if (room !== roomOf(file)) imports.get(roomOf(file)).add(room)
  }
}

/** Whether a room reaches another by way of a third: that arrow is left out, or there would be one between almost any two. */
function reachesBy (from, to, seen = new Set([from])) {
  return [...imports.get(from)].some((room) => {
    if (room === to || seen.has(room)) return false
    seen.add(room)
    return imports.get(room).has(to) || reachesBy(room, to, seen)
  })
}

const id = (room) => room.replace('.ts', '_file').replace('/', '_')
const label = (room) => room.endsWith('.ts') ? room : `${room}/`
const rooms = [...imports.keys()]
const lines = [
  '```mermaid',
  'flowchart TD',
  ...rooms.map((room) => `  ${id(room)}["${label(room)}"]`),
  ...rooms.flatMap((from) => [...imports.get(from)].sort().filter((to) => !reachesBy(from, to)).map((to) => `  ${id(from)} --> ${id(to)}`)),
  '```'
]

const page = readFileSync(PAGE, 'utf8')
const current = page.replace(DRAWING, `$1\n${lines.join('\n')}\n\n$2`)
if (!process.argv.includes('--check')) writeFileSync(PAGE, current)
else if (current !== page) {
  console.error('The map in docs/explanation/architecture.md is not current. Run: npm run map')
  process.exitCode = 1
}
