/**
 * `createFleet` of the testing entry: applications of one process as nodes of one fleet.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { FastifyInstance } from 'fastify'
import { connect, createClock, createFleet } from '../../lib/testing/index.ts'
import { start } from '../helpers/server.ts'

const BEAT = { info: '', capacity: 1, lease: 6000, settled: [], away: 0 }
const app = {} as FastifyInstance

test('each application gets an engine of its own, of one fleet', async () => {
  const fleet = createFleet()
  const [a, b] = [fleet(app), fleet(app)]
  const heard = new Promise((resolve) => { void b.listen('b', resolve) })
  await a.beat('a', BEAT)
  assert.deepEqual((await b.beat('b', BEAT)).nodes.map(({ id }) => id), ['a', 'b'])
  await a.send(['b'], 'hello')
  assert.equal(await heard, 'hello')
  await a.close()
  assert.deepEqual((await b.beat('b', BEAT)).nodes.map(({ id }) => id), ['a', 'b'])
})

test('two fleets know nothing of each other', async () => {
  const [a, b] = [createFleet()(app), createFleet()(app)]
  await a.beat('a', BEAT)
  assert.deepEqual((await b.beat('b', BEAT)).nodes.map(({ id }) => id), ['b'])
})

test('leases end by the clock of the test', async () => {
  const clock = createClock()
  const fleet = createFleet({ clock })
  const [a, b] = [fleet(app), fleet(app)]
  await a.beat('a', BEAT)
  await clock.tick(5999)
  assert.deepEqual((await b.beat('b', BEAT)).lost, [])
  await clock.tick(1)
  assert.deepEqual((await b.beat('b', BEAT)).lost.map(({ id }) => id), ['a'])
})

test('applications of a test are one fleet', async (t) => {
  const fleet = createFleet()
  const routes = (app: FastifyInstance): void => { app.get('/', { websocket: true }, () => {}) }
  const [one, two] = [await start(t, { fleet }, routes), await start(t, { fleet }, routes)]
  await connect(one, '/')
  await connect(two, '/')
  await connect(two, '/')
  assert.deepEqual(await two.sockets.fleet.count('all'), { value: 3, complete: true, missing: [] })
  const nodes = (await two.sockets.fleet.list('all')).value.map(({ node }) => node)
  assert.deepEqual(nodes.toSorted(), [one, two, two].map((app) => app.sockets.fleet.node).toSorted())
})
