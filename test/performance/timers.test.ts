/**
 * What does not grow with the number of connections: timers, and listeners on what they share.
 */
import assert from 'node:assert/strict'
import { createHook } from 'node:async_hooks'
import type { EventEmitter } from 'node:events'
import test from 'node:test'
import type { LifecycleOptions } from '../../lib/index.ts'
import { turn } from '../helpers/records.ts'
import { plain } from '../helpers/routes.ts'
import { rawConnect, start, timersOfOurs, until } from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

const MORE = 100

/** Of the event loop. */
const TURNS = 200

/** Timers alive, those that keep no process alive too: `getActiveResourcesInfo` leaves these out. */
const timers = new Set<number>()
const hook = createHook({
  init (id, type) { if (type === 'Timeout') timers.add(id) },
  destroy (id) { timers.delete(id) }
})

type Census = Record<string, number>

/** How many there are of everything that connections share. */
function census (app: TestApp): Census {
  const emitters: Record<string, EventEmitter> = { process, server: app.server, websocketServer: app.websocketServer }
  return {
    'timers that keep the process alive': process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length,
    timers: timers.size,
    'timers of the plugin': timersOfOurs().length,
    ...Object.fromEntries(Object.entries(emitters).flatMap(([owner, emitter]) =>
      emitter.eventNames().map((event) => [`listeners of ${owner} for ${String(event)}`, emitter.listenerCount(event)])))
  }
}

/** What there is more of. */
function grown (before: Census, after: Census): Census {
  return Object.fromEntries(Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)] as const).filter(([, more]) => more > 0))
}

const settings: Array<[string, LifecycleOptions]> = [
  ['the defaults', {}],
  ['every deadline there is', { heartbeat: { interval: 50_000 }, idleTimeout: 60_000, maxLifetime: 60_000, limits: { handshakes: { timeout: 60_000 } } }]
]

for (const [what, options] of settings) {
  test(`${MORE} connections more need no timer more and no listener more on what they share: ${what}`, async (t) => {
    hook.enable()
    t.after(() => { hook.disable(); timers.clear() })
    const app = await start(t, options, plain, { fastify: { logger: false } })
    await rawConnect(t, app, '/')
    await until(() => app.sockets.size === 1)
    // Timers that are over say so some turns later.
    for (let i = 0; i < TURNS; i++) await turn()
    const one = census(app)
    assert.equal(one['timers of the plugin']! > 0, true)
    assert.equal(one.timers! >= one['timers of the plugin']!, true)
    await Promise.all(Array.from({ length: MORE }, () => rawConnect(t, app, '/')))
    await until(() => app.sockets.size === 1 + MORE)
    for (let i = 0; i < TURNS && Object.keys(grown(one, census(app))).length > 0; i++) await turn()
    assert.deepEqual(grown(one, census(app)), {})
  })
}
