/**
 * What client libraries do after a close over the class of `fastify-websocket-lifecycle/client`, set up as the guide says. Time is
 * that of the test: no figure here depends on the machine.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { lifecycle } from '../../../lib/client/index.ts'
import { eventually } from './fake-time.ts'
import { connectWith, withToken } from './guide.ts'
import { LIBRARIES } from './libraries.ts'
import type { WebSocketClass } from './library.ts'
import { onStage } from './stage.ts'

/** Longest time that a library adds to the wait of the class, milliseconds. */
const SLACK = 100
/** Default of `finalFor`, milliseconds. */
const FINAL_FOR = 60_000

for (const library of LIBRARIES) {
  const { name } = library
  const connect = await connectWith(name)

  for (const retry of [250, 4_210, 30_000]) {
    test(`${name}: with retry=${retry} it comes back then, not before, and works`, (t) => onStage(t, library, connect, async ({ clock, end, nextAttempt, session, finish }) => {
      const from = clock.now()
      await end(1012, `service restart; retry=${retry}`)
      const attempt = await nextAttempt(120_000)
      assert.ok(attempt)
      const waited = attempt.at - from
      assert.ok(waited >= retry && waited <= retry + SLACK, `waited ${waited} ms`)
      await finish(session.works())
    }))
  }

  for (const code of [1008, 3003, 4001]) {
    test(`${name}: ${code} stops it`, (t) => onStage(t, library, connect, async ({ end, nextAttempt }) => {
      await end(code, 'the end')
      assert.equal(await nextAttempt(10 * FINAL_FOR), undefined)
    }))

    const alone: typeof connect = (address, WebSocket) => library.byItself(address, lifecycle(WebSocket) as unknown as WebSocketClass)
    test(`${name}: with its default settings, too, none of its attempts reaches the network in the minute after ${code}`, (t) => onStage(t, library, alone, async ({ end, nextAttempt }) => {
      await end(code, 'the end')
      assert.equal(await nextAttempt(FINAL_FOR - 1), undefined)
    }))
  }

  for (const random of [0, 0.5, 0.999]) {
    test(`${name}: after 1006 the waits are full jitter (random number ${random})`, (t) => onStage(t, library, connect, async ({ clock, unplug, end, nextAttempt }) => {
      t.mock.method(Math, 'random', () => random)
      unplug()
      let from = clock.now()
      await end(1006)
      for (let failures = 0; failures < 8; failures++) {
        const attempt = await nextAttempt(60_000)
        assert.ok(attempt, `no attempt after ${failures} failures`)
        const wait = random * Math.min(30_000, 1_000 * 2 ** failures)
        const waited = attempt.at - from
        assert.ok(waited >= wait && waited <= wait + SLACK, `waited ${waited} ms, not ${wait}, after ${failures} failures`)
        from = attempt.at
        await eventually(() => attempt.over, 'the attempt to fail')
      }
    }))
  }

  test(`${name}: the token of an attempt was asked for at that attempt`, (t) => {
    const asking: typeof connect = (address, WebSocket) => library.byItself(address, withToken(async () => String(performance.now()), lifecycle(WebSocket) as unknown as WebSocketClass))
    return onStage(t, library, asking, async ({ end, nextAttempt, session, finish }) => {
      await end(1012, 'service restart; retry=30000')
      const attempt = await nextAttempt(120_000)
      assert.ok(attempt)
      const asked = Number(new URL(attempt.url).searchParams.get('token'))
      assert.ok(attempt.at - asked <= SLACK, `asked for ${attempt.at - asked} ms before`)
      await finish(session.works())
    })
  })
}
