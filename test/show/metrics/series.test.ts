/**
 * The number of series does not depend on what clients send: a real application, and clients that close with 5,000 codes on 5,000
 * paths.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import * as client from 'prom-client'
import { DEFINITIONS } from '../../../lib/show/metrics/definitions.ts'
import metrics from '../../../lib/show/metrics/index.ts'
import { handshake, maskedFrame, Opcode, portOf, start, until } from '../../helpers/server.ts'
import { readDocument, tables } from '../../docs/markdown.ts'
import { fakeStats, samplesIn } from './fake-stats.ts'

const ROUTES = ['/chat', '/feed', '/game', '/jobs', '/news']
const CODES = 5_000
const AT_ONCE = 50
/** In parts: a test that is long is taken for one that hangs, on a machine that is busy with something else. */
const PART = 500

/** `3 per route, 8` → most series with so many routes. */
function bound (cell: string, routes: number): number {
  return cell.split(',').reduce((total, part) => total + Number(/\d+/.exec(part)![0]) * (part.includes('per route') ? routes : 1), 0)
}

/** Series by metric, as the reference says. */
const documented = new Map(tables(readDocument('docs/reference/metrics.md'), 'metric', 'labels', 'series').map((row) => [/\w+/.exec(row.metric!)![0], bound(row.series!, ROUTES.length)]))
const isOfFleet = (name: string) => name.startsWith('ws_fleet_')
const sumOf = (entries: Array<[name: string, series: number]>) => entries.reduce((sum, [, series]) => sum + series, 0)
const bounded = sumOf([...documented].filter(([name]) => !isOfFleet(name)))

test('the bound that the documentation computes is 100 series with five routes, and 12 more with a fleet', () => {
  assert.equal(bounded, 100)
  assert.equal(sumOf([...documented].filter(([name]) => isOfFleet(name))), 12)
  for (const definition of DEFINITIONS.filter(({ name }) => isOfFleet(name))) assert.equal(definition.read(fakeStats()).length, documented.get(definition.name), definition.name)
})

test('clients that close with 5,000 codes on 5,000 paths make at most 100 series', async (t) => {
  const register = new client.Registry()
  const app = await start(t, { allowedOrigins: 'same-origin' }, async (app) => {
    await app.register(metrics, { client, register })
    app.get('/page/:id', () => 'no WebSocket')
    for (const route of ROUTES) app.get(`${route}/:id`, { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(data) }) })
  }, { fastify: { logger: false } })

  const visit = async (path: string, frames: Buffer, headers: Record<string, string> = {}) => {
    const socket = net.connect(portOf(app), '127.0.0.1').on('error', () => {})
    socket.write(handshake(path, headers))
    socket.once('data', () => { socket.end(frames) }).resume()
    await once(socket, 'close')
  }
  const close = (code: number) => maskedFrame(Opcode.Close, Buffer.from([code >> 8, code & 255]))
  const visits = [
    // 1000 to 5999: those that may be sent, those that may not, and those that do not exist.
    ...Array.from({ length: CODES }, (_, index) => () => visit(`${ROUTES[index % ROUTES.length]}/${index}`, close(1_000 + index))),
    ...ROUTES.flatMap((route) => [
      () => visit(`${route}/gone`, Buffer.alloc(0)),
      () => visit(`${route}/without-code`, maskedFrame(Opcode.Close)),
      () => visit(`${route}/unmasked`, Buffer.from([0x81, 0x01, 0x61])),
      () => visit(`${route}/text`, Buffer.concat([maskedFrame(Opcode.Text, Buffer.from([0xff])), close(1_000)])),
      () => visit(`${route}/foreign`, Buffer.alloc(0), { origin: 'https://example.com' })
    ]),
    ...Array.from({ length: 100 }, (_, index) => () => visit(`/unknown/${index}`, close(4_000 + index))),
    ...Array.from({ length: 100 }, (_, index) => () => visit(`/page/${index}`, close(4_000 + index)))
  ]
  for (let from = 0; from < visits.length; from += PART) {
    await t.test(`visits from ${from}`, async () => {
      const unused = visits.slice(from, from + PART).values()
      await Promise.all(Array.from({ length: AT_ONCE }, async () => { for (const next of unused) await next() }))
    })
  }
  await until(() => app.sockets.size === 0)

  const samples = samplesIn(await register.metrics())
  assert.ok(samples.length <= bounded, `${samples.length} series:\n${samples.join('\n')}`)
  const counts = new Map<string, number>()
  for (const sample of samples) {
    const name = [...documented.keys()].find((name) => new RegExp(`^${name}(_bucket|_sum|_count)?[{ ]`).test(sample))
    assert.ok(name, `not in the reference: ${sample}`)
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  for (const [name, count] of counts) assert.ok(count <= documented.get(name)!, `${name} has ${count} series`)
  // All were there.
  const closed = samples.filter((sample) => sample.startsWith('ws_connections_closed_total'))
  assert.equal(closed.reduce((sum, sample) => sum + Number(sample.split(' ').at(-1)), 0), CODES + 4 * ROUTES.length)
  assert.ok(closed.some((sample) => sample.includes('cause="protocol",code="other"')) && closed.some((sample) => sample.includes('cause="client",code="other"')))
})
