/**
 * Code blocks of the documents run, print what they say, and have no type errors.
 */
import assert from 'node:assert/strict'
import { fork, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, suite } from 'node:test'
import { pathToFileURL } from 'node:url'
import { buildSync, transformSync } from 'esbuild'
import { WebSocket } from 'ws'
import { entries } from '../helpers/entries.ts'
import { documents, ROOT } from './markdown.ts'
import type { CodeBlock } from './markdown.ts'

const NAME = 'fastify-websocket-lifecycle'
/** What users import, and the sources behind it. */
const ENTRIES = new Map(entries.map(({ name, file }) => [name, `lib/${file}.ts`]))
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc')
/** Libraries that documents show and this project does not install. */
const NOT_INSTALLED = ['partysocket/ws', 'graphql-ws']
/** Documents whose JavaScript can be pasted into a TypeScript file as it is. */
const ALSO_TYPESCRIPT = ['docs/guides/deploy.md', 'docs/guides/fleet.md']
/** Names that a fragment leans on, as its reader would have them. */
const PRELUDE = `
  import type { FastifyInstance, FastifyRequest } from 'fastify'
  import type { WebSocket } from 'ws'
  import type { default as Plugin, Connection } from '${NAME}'
  declare global {
    const sockets: typeof Plugin
    const app: FastifyInstance
    const request: FastifyRequest
    const socket: WebSocket
    const connection: Connection
    const queue: { subscribe (owner: string | undefined, options: { signal: AbortSignal }): Promise<{ close (): Promise<void> }> }
    const work: (message: unknown) => Promise<string>
    const save: (message: unknown) => Promise<void>
  }
`
/** Milliseconds after which a program hangs, on a machine that is busy with something else; the watchdog has more. */
const PATIENCE = 240_000

const folder = mkdtempSync(join(tmpdir(), 'docs-'))
symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction')
after(() => { rmSync(folder, { recursive: true, force: true }) })

// Bundled once: each block is a process of its own, and half of its time would be the start with all the sources.
buildSync({
  entryPoints: [...ENTRIES.values()].map((file) => join(ROOT, file)),
  outbase: join(ROOT, 'lib'),
  outdir: join(folder, 'lib'),
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  packages: 'external',
  sourcemap: 'inline'
})
cpSync(join(ROOT, 'lib/show/page/assets'), join(folder, 'lib/show/page/assets'), { recursive: true })
const RUNNER = join(folder, 'run-block.mjs')
writeFileSync(RUNNER, withoutTypes(readFileSync(join(import.meta.dirname, 'run-block.ts'), 'utf8')))

const blocks = documents().flatMap(({ blocks }) => blocks)
const scripts = blocks.filter(({ language }) => language === 'js' || language === 'ts')
const runs = ({ flags, text }: CodeBlock) =>
  !flags.includes('fragment') && !NOT_INSTALLED.some((name) => text.includes(`from '${name}'`))

/** Writes a block to a file; to be run, it gets the bundled sources in place of the package. */
function write ({ place, language, text }: CodeBlock, kind: 'run' | 'read'): string {
  const file = (extension: string) => join(folder, `${kind}-${place.replaceAll(/[^\w]/g, '-')}.${extension}`)
  if (kind === 'read') return written(file(`m${language}`), text)
  let program = text
  for (const [name, source] of ENTRIES) program = program.replaceAll(`from '${name}'`, `from '${pathToFileURL(join(folder, source.replace(/\.ts$/, '.mjs'))).href}'`)
  return written(file('mjs'), withoutTypes(program))
}

function written (file: string, text: string): string {
  writeFileSync(file, text)
  return file
}

function withoutTypes (text: string): string { return transformSync(text, { loader: 'ts', format: 'esm', target: 'es2022', sourcemap: 'inline' }).code }

async function execute (args: string[]): Promise<{ code: number | null, stdout: string, stderr: string }> {
  // Or a block that is a test would report to ours. And coverage takes time: what documents show has tests of its own.
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_V8_COVERAGE: undefined, JWT_SECRET: 'secret of the examples' }
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const timer = setTimeout(() => { child.kill('SIGKILL') }, PATIENCE)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
  const [code] = await once(child, 'close') as [number | null]
  clearTimeout(timer)
  return { code, stdout, stderr }
}

suite('code blocks of the documents', { concurrency: 2 }, () => {
  for (const block of scripts.filter(runs)) {
    test(`${block.place} runs${block.output === undefined ? '' : ' and prints what the document says'}`, async () => {
      // A test closes what it opens; for everything else the runner does.
      const runner = block.text.includes("from 'node:test'") ? [] : [RUNNER]
      const { code, stdout, stderr } = await execute(['--enable-source-maps', ...runner, write(block, 'run')])
      assert.equal(code, 0, `${stdout}\n${stderr}`)
      if (block.output !== undefined) assert.equal(stdout, block.output)
    })
  }

  for (const block of scripts.filter((block) => block.language === 'js' && !runs(block))) {
    test(`${block.place} is JavaScript`, async () => {
      const { code, stderr } = await execute(['--check', write(block, 'read')])
      assert.equal(code, 0, stderr)
    })
  }

  for (const block of blocks.filter(({ language }) => language === 'json')) {
    test(`${block.place} is JSON`, () => { assert.doesNotThrow(() => JSON.parse(block.text)) })
  }

  // What a block adds to the types of the package is true of its own program only.
  const typed = scripts.filter(({ language, place }) => language === 'ts' || ALSO_TYPESCRIPT.some((path) => place.startsWith(`${path}:`)))
  const augments = ({ text }: CodeBlock) => text.includes('declare module')
  const programs = new Map(typed.filter(augments).map((block) => [block.place, [block]])).set('all others', typed.filter((block) => !augments(block)))
  for (const [name, program] of programs) {
    test(`TypeScript blocks have no type errors: ${name}`, async () => {
      writeFileSync(join(folder, 'prelude.mts'), PRELUDE)
      const config = join(folder, `${name.replaceAll(/[^\w]/g, '-')}.json`)
      writeFileSync(config, JSON.stringify({
        extends: join(ROOT, 'tsconfig.json'),
        compilerOptions: {
          noUnusedLocals: false,
          noUnusedParameters: false,
          paths: Object.fromEntries([...ENTRIES].map(([name, source]) => [name, [join(ROOT, source)]]))
        },
        files: [join(folder, 'prelude.mts'), ...program.map((block) => write({ ...block, language: 'ts' }, 'read'))],
        include: [],
        exclude: []
      }))
      const { stdout, stderr } = await execute([TSC, '--project', config, '--pretty', 'false'])
      // A block that augments ConnectionData makes demands that lib/ itself, seen as source, does not meet; as built it does.
      const errors = stdout.split('\n').filter((line) => /error TS\d+/.test(line) && !/[\\/]lib[\\/]/.test(line))
      assert.deepEqual([...errors, stderr], [''])
    })
  }
})

suite('what the README shows first', () => {
  const first = scripts.find(({ place }) => place.startsWith('README.md'))!
  let child: ChildProcess | undefined
  after(() => { child?.kill('SIGKILL') })

  test('tells its client to come back when it gets SIGTERM, and exits 0', async () => {
    child = fork(RUNNER, [write(first, 'run')], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    const exited = once(child, 'exit')
    const [{ port }] = await once(child, 'message') as [{ port: number }]
    const client = new WebSocket(`ws://127.0.0.1:${port}/echo`)
    const closed = once(client, 'close')
    await once(client, 'open')
    client.send('hello')
    const [reply] = await once(client, 'message')
    assert.equal(String(reply), 'hello')

    child.kill('SIGTERM')
    const [code, reason] = await closed
    assert.equal(code, 1012)
    assert.equal(String(reason), 'service restart')
    assert.deepEqual(await exited, [0, null])
  })
})
