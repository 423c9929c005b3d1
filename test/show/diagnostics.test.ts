import assert from 'node:assert/strict'
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { LifecycleEvents } from '../../lib/track/events.ts'
import type { FleetEvents } from '../../lib/track/fleet.ts'
import { CHANNELS, FLEET_CHANNELS, mirrorToChannels } from '../../lib/show/diagnostics.ts'
import { fault } from '../../lib/connection/faults.ts'
import { createFleet } from '../helpers/fleet-rig.ts'
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

// ——— the fleet

const FLEET_EVENTS = Object.keys(FLEET_CHANNELS) as Array<keyof FleetEvents>

/** Subscribes to channels of the fleet until the test ends. */
function subscribeFleet (t: TestContext, events: ReadonlyArray<keyof FleetEvents>): Published[] {
  const published: Published[] = []
  for (const event of events) {
    const listener = (message: unknown) => { published.push({ event, message: message as Published['message'] }) }
    subscribe(FLEET_CHANNELS[event], listener)
    t.after(() => { unsubscribe(FLEET_CHANNELS[event], listener) })
  }
  return published
}

test('every event of the fleet has a channel of its own', () => {
  assert.deepEqual(FLEET_EVENTS.toSorted(), ['down', 'joined', 'left', 'lost', 'offline', 'online', 'up'])
  for (const event of FLEET_EVENTS) assert.equal(FLEET_CHANNELS[event], `fastify-websocket-lifecycle:fleet:${event}`)
})

test('what listeners of the fleet hear is published with its tracker', async (t) => {
  const published = subscribeFleet(t, FLEET_EVENTS)
  const { clock, nodes: [a, b, c] } = await createFleet(3)
  const heard: Published[] = []
  for (const event of FLEET_EVENTS) a!.sockets.on(event, (value) => { heard.push({ event, message: { ...value, tracker: a!.tracker } }) })
  published.length = 0
  const { connection } = b!.open({ owner: '42' })
  await clock.run(1_000)
  void connection.close()
  await clock.run(3_000)
  void b!.fleet.close()
  await clock.run(1_000)
  a!.faulty.fault = 'refuse'
  await clock.run(3_000)
  a!.faulty.fault = 'none'
  await clock.run(10_000)
  c!.kill()
  await clock.run(10_000)
  assert.deepEqual(heard.map(({ event }) => event), ['online', 'offline', 'left', 'down', 'up', 'lost'])
  assert.deepEqual(published.filter(({ message }) => message.tracker === a!.tracker), heard)
  assert.deepEqual(published.filter(({ event, message }) => event === 'online' && message.here === true).map(({ message }) => message.tracker), [b!.tracker])
})

test('a node with a subscriber is told who is online, without a listener; a node without either is told nothing', async (t) => {
  const silent = await createFleet(2)
  assert.deepEqual(await sentPresence(silent), [])
  const published = subscribeFleet(t, ['online'])
  const { nodes: [a, b] } = silent
  await silent.clock.run(4_000)
  assert.deepEqual(await sentPresence(silent), ['send'])
  assert.deepEqual(published.map(({ message: { tracker, ...value } }) => [tracker === a!.tracker ? 'a' : 'b', value]), [['b', { owner: '2', here: true }], ['a', { owner: '2', here: false }]])
  assert.ok(published.every(({ message }) => message.tracker === a!.tracker || message.tracker === b!.tracker))
})

let owners = 0

/** Opens a connection of a new owner on the second node; returns the messages that it sends, without those of a beat. */
async function sentPresence ({ clock, nodes: [, b] }: Awaited<ReturnType<typeof createFleet>>): Promise<string[]> {
  b!.faulty.calls.length = 0
  b!.open({ owner: String(++owners) })
  await clock.run(100)
  return b!.faulty.calls.filter((call) => call === 'send')
}

test('an outage says how long it was, and what a call has failed with', async (t) => {
  const published = subscribeFleet(t, ['up', 'down'])
  const { clock, nodes: [a] } = await createFleet(1)
  a!.faulty.fault = 'throw'
  await clock.run(6_000)
  a!.faulty.fault = 'none'
  await clock.run(4_000)
  const [joined, down, up] = published.map(({ message }) => message)
  assert.deepEqual([published.length, joined!.duration], [3, 0])
  assert.ok(down!.error instanceof Error)
  assert.ok((up!.duration as number) >= 4_000 && (up!.duration as number) <= 8_000, String(up!.duration))
})
