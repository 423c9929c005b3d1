import assert from 'node:assert/strict'
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { LifecycleEvents } from '../../lib/track/events.ts'
import { CHANNELS, mirrorToChannels } from '../../lib/show/diagnostics.ts'
import { fault } from '../../lib/connection/faults.ts'
import { createTracker } from '../helpers/tracker-rig.ts'

const EVENTS = Object.keys(CHANNELS) as Array<keyof LifecycleEvents>

interface Published { event: string, message: Record<string, unknown> }

/** Subscribes to every channel until the test ends. */
function subscribeAll (t: TestContext): Published[] {
  const published: Published[] = []
  for (const event of EVENTS) {
    const listener = (message: unknown) => { published.push({ event, message: message as Published['message'] }) }
    subscribe(CHANNELS[event], listener)
    t.after(() => { unsubscribe(CHANNELS[event], listener) })
  }
  return published
}

/** Everything that can happen, once. */
async function live ({ tracker, enforcement, open, clock }: ReturnType<typeof createTracker>): Promise<void> {
  tracker.refused({ reason: 'draining', path: '/', ip: '' })
  enforcement.allows('origin', 'refuse', undefined, '/')
  const { connection } = open()
  fault(connection, new Error('no'))
  open()
  void tracker.drain()
  await clock.run(8_000)
}

test('every event of the tracker has a channel of its own', () => {
  assert.deepEqual(EVENTS.toSorted(), ['audit', 'closed', 'closing', 'drain', 'drained', 'draining', 'error', 'observed', 'open', 'progress', 'refused'])
  for (const event of EVENTS) assert.equal(CHANNELS[event], `fastify-websocket-lifecycle:${event}`)
})

test('every event is published with its arguments and its tracker, in the order of the events', async (t) => {
  const published = subscribeAll(t)
  const rig = createTracker({ mode: { origin: 'observe' } }, 'fatal')
  const { tracker } = rig
  const heard: Published[] = []
  const listen = <K extends keyof LifecycleEvents>(event: K, ...names: string[]) => {
    tracker.on(event, (...args) => {
      heard.push({ event, message: { tracker, ...Object.fromEntries(names.map((name, i) => [name, args[i]])) } })
    })
  }
  listen('open', 'connection')
  listen('draining', 'connection')
  listen('closing', 'connection')
  listen('closed', 'connection', 'record')
  listen('error', 'error', 'connection')
  listen('refused', 'refusal')
  listen('observed', 'observation')
  listen('drain', 'start')
  listen('progress', 'progress')
  listen('drained', 'report')
  listen('audit', 'act')
  mirrorToChannels(tracker)
  await live(rig)
  assert.deepEqual(new Set(published.map(({ event }) => event)), new Set(EVENTS))
  assert.equal(published.length, heard.length)
  for (const [i, { event, message }] of published.entries()) {
    assert.equal(event, heard[i]!.event)
    assert.deepEqual(Object.keys(message), Object.keys(heard[i]!.message))
    // The very objects, not copies.
    for (const [key, value] of Object.entries(heard[i]!.message)) assert.equal(message[key], value)
  }
})

test('messages of two trackers can be told apart', (t) => {
  const published = subscribeAll(t)
  const one = createTracker()
  const two = createTracker()
  mirrorToChannels(one.tracker)
  mirrorToChannels(two.tracker)
  one.open()
  two.open()
  assert.deepEqual(published.map(({ message }) => message.tracker), [one.tracker, two.tracker])
})

test('without subscribers nothing is published', async (t) => {
  const rig = createTracker({ mode: { origin: 'observe' } }, 'fatal')
  mirrorToChannels(rig.tracker)
  // That of channels without subscribers; they have another one when there are some.
  const publish = t.mock.method(Object.getPrototypeOf(channel(CHANNELS.open)) as Channel, 'publish')
  await live(rig)
  assert.equal(publish.mock.callCount(), 0)
})

test('who has unsubscribed hears nothing more', (t) => {
  const rig = createTracker()
  mirrorToChannels(rig.tracker)
  const published: unknown[] = []
  const listener = (message: unknown) => { published.push(message) }
  subscribe(CHANNELS.open, listener)
  t.after(() => { unsubscribe(CHANNELS.open, listener) })
  rig.open()
  unsubscribe(CHANNELS.open, listener)
  rig.open()
  assert.equal(published.length, 1)
})
