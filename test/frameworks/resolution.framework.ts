/**
 * What these tests stand on: app, plugin and frameworks share one fastify, one @fastify/websocket and one ws (README.md).
 */
import assert from 'node:assert/strict'
import { realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import test from 'node:test'

/** Folder of a package, as the module at `from` finds it. */
function folderOf (name: string, from: string): string {
  return dirname(realpathSync(createRequire(from).resolve(`${name}/package.json`)))
}

const here = import.meta.filename
const lib = createRequire(here).resolve('../../lib/index.ts')

/** Where a framework's own modules stand. */
const insideOf = (name: string) => createRequire(here).resolve(name)

for (const [name, users] of Object.entries({
  fastify: ['@nestjs/platform-fastify'],
  '@fastify/websocket': ['mercurius'],
  ws: ['@fastify/http-proxy', '@fastify/websocket', 'mercurius']
})) {
  test(`there is one ${name} for app, plugin and frameworks`, () => {
    const ours = folderOf(name, lib)
    assert.equal(folderOf(name, here), ours)
    for (const user of users) assert.equal(folderOf(name, insideOf(user)), ours, `${user} has a ${name} of its own`)
  })
}
