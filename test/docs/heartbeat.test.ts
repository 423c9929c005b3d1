// The arithmetic of docs/explanation/heartbeat.md: its table of bounds against a heartbeat that runs, its sums against the options.
import assert from 'node:assert/strict'
import test from 'node:test'
import Fastify from 'fastify'
import sockets from '../../lib/index.ts'
import { defaults } from '../../lib/options/defaults.ts'
import { connect, createClock } from '../../lib/testing/index.ts'
import { readDocument, tables } from './markdown.ts'

const document = readDocument('docs/explanation/heartbeat.md')
const rows = tables(document, 'interval', 'maxMissed', 'pinged after', 'dead peer found after')
const TICK = 50

/** `62.5 to 75 s` → [62500, 75000] */
function milliseconds (cell: string): number[] {
  return [...cell.matchAll(/[\d.]+/g)].map(([number]) => Number(number) * 1000)
}

test('the bounds of docs/explanation/heartbeat.md are interval × (maxMissed + 1), and half an interval less', () => {
  assert.ok(rows.length >= 5)
  for (const row of rows) {
    const [interval] = milliseconds(row.interval!) as [number]
    const bound = interval * (Number(row.maxMissed) + 1)
    assert.deepEqual(milliseconds(row['pinged after']!), [interval / 2, interval], JSON.stringify(row))
    assert.deepEqual(milliseconds(row['dead peer found after']!), [bound - interval / 2, bound], JSON.stringify(row))
  }
})

test('the first row of docs/explanation/heartbeat.md has the defaults', () => {
  const [{ interval, maxMissed }] = rows as [{ interval: string, maxMissed: string }]
  assert.deepEqual({ interval: milliseconds(interval)[0], maxMissed: Number(maxMissed) }, defaults.heartbeat)
})

for (const row of rows) {
  test(`a dead peer is found when docs/explanation/heartbeat.md says: ${row.interval}, ${row.maxMissed} missed`, async (t) => {
    const clock = createClock()
    const app = Fastify()
    t.after(() => app.close())
    const [interval] = milliseconds(row.interval!) as [number]
    await app.register(sockets, { clock, heartbeat: { interval, maxMissed: Number(row.maxMissed) } })
    app.get('/', { websocket: true }, () => {})
    const [least, most] = milliseconds(row['dead peer found after']!) as [number, number]
    // One for each of some groups: they are looked at one after the other.
    for (let i = 0; i < 5; i++) {
      const opened = clock.now()
      const ended = new Promise<number>((resolve) => {
        app.sockets.on('closed', function onClosed (_connection, { cause }) {
          app.sockets.off('closed', onClosed)
          assert.equal(cause, 'heartbeat')
          resolve(clock.now() - opened)
        })
      })
      await connect(app, '/', { autoPong: false })
      await clock.tick(most + TICK)
      const after = await ended
      assert.ok(after >= least - TICK && after <= most + TICK, `${after} ms, not ${least} to ${most}`)
      await clock.tick(interval / 7)
    }
  })
}
