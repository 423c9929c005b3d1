/**
 * `npm start`: the example server stays up, says how to connect, and drains visibly on Ctrl-C.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import test from 'node:test'
import { WebSocket } from 'ws'

test('npm start answers, and on SIGINT drains visibly and exits with 0', { skip: process.platform === 'win32' && 'no SIGINT' }, async (t) => {
  const child = spawn(process.execPath, ['--import', './scripts/typescript.js', 'examples/start.ts'], {
    cwd: join(import.meta.dirname, '../..'),
    env: { ...process.env, PORT: '0' }
  })
  t.after(() => { child.kill('SIGKILL') })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { output += chunk.toString() })
  const exited = once(child, 'exit')
  const address = async (): Promise<string> => {
    for (;;) {
      const match = /ws:\/\/[\w.[\]:]+\/echo/.exec(output)
      if (match !== null) return match[0]
      await once(child.stdout, 'data')
    }
  }
  const client = new WebSocket(await address())
  await once(client, 'open')
  client.send('hello')
  const [answer] = await once(client, 'message') as [Buffer]
  assert.equal(answer.toString(), 'hello')
  const closed = once(client, 'close')
  child.kill('SIGINT')
  assert.equal((await closed)[0], 1012)
  assert.equal((await exited)[0], 0)
  assert.match(output, /drain/i)
})
