/**
 * The second act of the demo, with few readers: what it counts of a deploy with the plugin and the client class, and of a bare one.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { Children } from '../../examples/demo/children.ts'
import { Deploy } from '../../examples/demo/deploy/deploy.ts'
import type { Contender, DeployOutcome } from '../../examples/demo/deploy/deploy.ts'
import { renderDeploys } from '../../examples/demo/deploy/table.ts'

const READERS = 10

async function deploy (t: TestContext, contender: Omit<Contender, 'name' | 'short'>): Promise<DeployOutcome> {
  const children = new Children()
  t.after(() => { children.killAll() })
  return await Promise.race([new Deploy(children, { name: 'it', short: 'it', ...contender }, READERS).run(), children.fault])
}

const SKIP = process.platform === 'win32' && 'no SIGTERM'

test('readers on the class see nothing of a deploy with the plugin', { skip: SKIP }, async (t) => {
  const outcome = await deploy(t, { server: './lifecycle.ts', lifecycle: true })
  const { counts: { open, longest, missed, twice, unanswered, closes }, exit } = outcome
  assert.deepEqual({ open, longest, missed, twice, unanswered, closes, code: exit.code }, { open: READERS, longest: 0, missed: 0, twice: 0, unanswered: 0, closes: 0, code: 0 })
  assert.match(renderDeploys([outcome]), /It: its readers saw nothing of the deploy\./)
})

test('readers on a bare server see a close each, and lose messages', { skip: SKIP }, async (t) => {
  const outcome = await deploy(t, { server: './bare.ts', lifecycle: false })
  const { counts: { open, longest, missed, closes }, exit } = outcome
  assert.deepEqual({ open, closes, code: exit.code }, { open: READERS, closes: READERS, code: 0 })
  assert.ok(longest > 0 && missed > 0)
  assert.match(renderDeploys([outcome]), /It: 10 'close' events, .+ s without a connection on average, \d+ messages lost/)
})
