/**
 * The programs of docs/guides/no-gap.md: the tests run the code that users copy.
 */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { pathToFileURL } from 'node:url'
import { readDocument, ROOT } from '../../docs/markdown.ts'
import type { CodeBlock } from '../../docs/markdown.ts'
import type { WebSocketClass } from './library.ts'
import type { Connect } from './stage.ts'

/** What the programs import, and the sources behind it. */
const SOURCES = { 'fastify-websocket-lifecycle/client': 'lib/client/index.ts', 'fastify-websocket-lifecycle/client/prepare': 'lib/client/prepare.ts' }

const folder = mkdtempSync(join(tmpdir(), 'libraries-'))
after(() => { rmSync(folder, { recursive: true, force: true }) })
symlinkSync(join(import.meta.dirname, '../node_modules'), join(folder, 'node_modules'), 'junction')
writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')

const { blocks } = readDocument('docs/guides/no-gap.md')

/** The one program that has this text. */
function programWith (text: string): CodeBlock {
  const found = blocks.filter((block) => block.text.includes(text))
  if (found.length !== 1) throw new Error(`docs/guides/no-gap.md has ${found.length} programs with ${text}`)
  return found[0]!
}

let copies = 0

/** What the program exports that has this text. */
async function load<Exports> (text: string): Promise<Exports> {
  const file = join(folder, `${++copies}.js`)
  let program = programWith(text).text
  for (const [name, source] of Object.entries(SOURCES)) program = program.replaceAll(`from '${name}'`, `from '${pathToFileURL(join(ROOT, source)).href}'`)
  writeFileSync(file, program)
  return await import(pathToFileURL(file).href) as Exports
}

/** How the guide connects with a library: the class that it gets is the global WebSocket. */
export async function connectWith (library: string): Promise<Connect> {
  const { connect } = await load<{ connect: (address: string) => unknown }>(`from '${library}`)
  return (address, WebSocket) => {
    Object.assign(globalThis, { WebSocket })
    return connect(address)
  }
}

/** The guide's class that asks for tokens. */
export const { withToken } = await load<{ withToken: (askForToken: () => Promise<string>, Base: WebSocketClass) => WebSocketClass }>('withToken')
