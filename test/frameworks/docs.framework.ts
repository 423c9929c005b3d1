/**
 * The programs of docs/guides/frameworks.md run as they are printed there.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { pathToFileURL } from 'node:url'
import { readDocument, ROOT } from '../docs/markdown.ts'
import { TYPESCRIPT } from '../helpers/child.ts'

const RUNNER = join(ROOT, 'test/docs/run-block.ts')
const NAME = 'fastify-websocket-lifecycle'
/** Longest time a program may take, milliseconds. */
const PATIENCE = 40_000

/** What the NestJS program imports of its application. */
const APP_MODULE = `
import { Module } from '@nestjs/common'
import { WebSocketGateway } from '@nestjs/websockets'
class Gateway {}
WebSocketGateway({ path: '/gateway' })(Gateway)
export class AppModule {}
Module({ providers: [Gateway] })(AppModule)
`

const folder = mkdtempSync(join(tmpdir(), 'frameworks-docs-'))
after(() => { rmSync(folder, { recursive: true, force: true }) })
symlinkSync(join(import.meta.dirname, 'node_modules'), join(folder, 'node_modules'), 'junction')
writeFileSync(join(folder, 'app.module.js'), APP_MODULE)
writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')

const programs = readDocument('docs/guides/frameworks.md').blocks.filter(({ text }) => text.includes(`from '${NAME}'`))

test('docs/guides/frameworks.md has a program for each framework', () => { assert.equal(programs.length, 7) })

for (const { place, text } of programs) {
  test(`${place} runs`, async () => {
    const file = join(folder, `${place.replaceAll(/[^\w]/g, '-')}.js`)
    writeFileSync(file, text.replaceAll(`from '${NAME}'`, `from '${pathToFileURL(join(ROOT, 'lib/index.ts')).href}'`))
    const child = spawn(process.execPath, [...TYPESCRIPT, RUNNER, file], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    const timer = setTimeout(() => { child.kill('SIGKILL') }, PATIENCE)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
    const [code] = await once(child, 'close') as [number | null]
    clearTimeout(timer)
    assert.equal(code, 0, output)
  })
}
