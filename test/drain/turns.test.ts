/**
 * A drain in turns: who is closed when, who is served until then, and who is asked to move.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { MOVE_TIME } from '../../lib/connection/mover.ts'
import { createRig, work } from '../helpers/drain-rig.ts'
import type { Rig, RigOptions } from '../helpers/drain-rig.ts'
import { createJob } from '../helpers/job.ts'

/** A minute of grace period, as a pod has it: the last frame leaves after 52 s. */
const POD: RigOptions = { terminationGracePeriod: 60_000, spread: 'auto', takeover: true, reconnect: { minDelay: 0 } }

/** The largest number of clients that are back within a second. */
function busiest ({ frames }: Rig): number {
  const back = frames.map(({ at, retry }) => at + (retry || 0)).sort((a, b) => a - b)
  let first = 0
  return Math.max(...back.map((moment, last) => {
    while (back[first]! <= moment - 1_000) first++
    return last - first + 1
  }))
}

// ——— when

test('each client is closed in its turn, 1 / rate after the one before, and told no delay', async () => {
  const rig = createRig(POD)
  rig.crowd(1_000)
  const report = await rig.run()
  assert.deepEqual(rig.frames.map(({ at }) => at), Array.from({ length: 1_000 }, (_, i) => i * 5))
  assert.ok(rig.frames.every(({ reason }) => reason === 'service restart'))
  assert.equal(report.reconnect, null)
  assert.equal(report.duration, 4_995)
})

test('10,000 clients at 200 a second with a minute of grace period are not told to stay away, and come back at the rate', async () => {
  const rig = createRig(POD)
  rig.crowd(10_000)
  const report = await rig.run()
  assert.equal(report.connections.clean, 10_000)
  assert.equal(report.reconnect, null)
  assert.ok(busiest(rig) <= 200, `${busiest(rig)}`)
})

test('where no other server takes over each client is told minDelay in its turn', async () => {
  const rig = createRig({ spread: 'auto' })
  rig.crowd(200)
  await rig.run()
  assert.deepEqual(rig.frames.map(({ at, retry }) => [at, retry]), Array.from({ length: 200 }, (_, i) => [i * 5, 1_000]))
})

test('19 clients are closed at once, as without turns, and 20 within 95 ms', async () => {
  const at = async (count: number) => {
    const rig = createRig({ spread: 'auto' })
    rig.crowd(count)
    await rig.run()
    return rig.frames
  }
  assert.deepEqual((await at(19)).map(({ at, retry }) => [at, retry]), Array.from({ length: 19 }, (_, i) => [0, 1_000 + i * 5]))
  assert.equal((await at(20)).at(-1)!.at, 95)
})

test('clients whose turns do not fit are closed at the end, and wait for the rest of their turns', async () => {
  const rig = createRig({ ...POD, terminationGracePeriod: undefined, timeout: 8_000 })
  rig.crowd(3_000)
  const report = await rig.run()
  const early = rig.frames.filter(({ retry }) => Number.isNaN(retry))
  // As many as there are turns until closing the others begins: 200 a second of a bit more than 4.8 s.
  assert.ok(early.length > 4.8 * 200, `${early.length}`)
  assert.ok(rig.frames.at(-1)!.at <= 5_600)
  assert.equal(report.reconnect!.max, 14_995 - Math.floor(rig.frames.at(-1)!.at))
  assert.ok(busiest(rig) <= 201, `${busiest(rig)}`)
})

test('a clock whose timers do not fire makes no client wait for its turn', async () => {
  const rig = createRig(POD)
  rig.clock.firesTimers = () => false
  rig.crowd(1_000)
  void rig.start('close')
  await rig.clock.flush()
  assert.equal(rig.drain.phase, 'done')
  assert.deepEqual([rig.elapsed, rig.frames.length], [0, 1_000])
})

test('clients that finish their work at once are closed in turns, too', async () => {
  const rig = createRig(POD)
  const jobs = rig.crowd(1_000).map(work)
  void rig.start()
  await rig.clock.run(10_000)
  for (const job of jobs) job.done()
  await rig.finish()
  assert.deepEqual(rig.frames.map(({ at }) => at), Array.from({ length: 1_000 }, (_, i) => 10_000 + i * 5))
})

// ——— until its turn

test('until its turn a client is served: messages, broadcasts, and work that begins is waited for', async () => {
  const rig = createRig({ spread: 'auto', reconnect: { rate: 10 } })
  const pairs = rig.crowd(30)
  void rig.start()
  await rig.clock.run(1_000)
  const waiting = pairs.filter(({ connection }) => connection.state === 'draining')
  assert.equal(waiting.length, 19)
  const { connection, socket } = waiting[0]!
  socket.peerSends('a')
  socket.ws.send('b')
  await rig.clock.flush()
  assert.deepEqual([socket.delivered, socket.frames.map(({ type }) => type)], [['a'], ['message']])
  const job = work(waiting[0]!)
  await rig.clock.run(2_500)
  assert.equal(connection.state, 'draining')
  job.done()
  const report = await rig.finish()
  assert.equal(rig.frames.find((frame) => frame.connection === connection.id)!.at, 3_500)
  assert.deepEqual(report.work, { inFlight: 1, finished: 1, abandoned: 0 })
})

test('until its turn messages() takes messages, then what has arrived is delivered and the loop ends', async () => {
  const rig = createRig({ spread: 'auto', reconnect: { rate: 10 } })
  const pairs = rig.crowd(30)
  const seen = new Map<number, string[]>()
  const jobs: Array<ReturnType<typeof createJob>> = []
  const loops = pairs.map(async ({ connection }) => {
    const messages: string[] = []
    seen.set(connection.id, messages)
    for await (const message of connection.messages()) {
      messages.push(String(message))
      const job = createJob()
      jobs.push(job)
      await job.promise
    }
  })
  void rig.start()
  await rig.clock.run(1_000)
  const { connection, socket } = pairs.find(({ connection }) => connection.state === 'draining')!
  const turn = async () => { while (rig.frames.length + 1 < 30) await rig.clock.run(100) }
  socket.peerSends('a').peerSends('b')
  await turn()
  // All others are closed: its turn is over, and it works.
  socket.peerSends('late')
  await rig.clock.run(100)
  for (let i = 0; i < 2; i++) {
    assert.equal(connection.state, 'draining')
    jobs[i]!.done()
    await rig.clock.run(100)
  }
  await rig.finish()
  await Promise.all(loops)
  assert.deepEqual(seen.get(connection.id), ['a', 'b'])
  assert.equal(rig.records.find(({ id }) => id === connection.id)!.dropped, 1)
})

// ——— grace

test('a job of 5 s ends in a drain with the default of 8 s', async () => {
  for (const spread of ['auto', false] as const) {
    const rig = createRig({ spread })
    const job = work(rig.connect())
    void rig.start()
    await rig.clock.run(5_000)
    assert.equal(rig.frames.length, 0)
    job.done()
    const report = await rig.finish()
    assert.deepEqual(report.work, { inFlight: 1, finished: 1, abandoned: 0 })
  }
})

test('work is waited for until 200 ms before the last frame must leave, or longer before if many work', async () => {
  const graceEnds = async (count: number) => {
    const rig = createRig({ spread: 'auto' })
    for (const pair of rig.crowd(count)) work(pair)
    await rig.run()
    assert.ok(rig.frames.at(-1)!.at <= 5_600)
    return rig.frames[0]!.at
  }
  assert.equal(await graceEnds(1), 5_400)
  assert.equal(await graceEnds(400), 5_400)
  assert.ok(await graceEnds(2_000) < 5_000)
  // Half of the time is theirs in any case.
  assert.equal(await graceEnds(20_000), 2_800)
})

test('work that is abandoned at the end does not make its clients come back at once', async () => {
  const rig = createRig(POD)
  rig.crowd(200)
  for (const pair of rig.crowd(1_000)) work(pair)
  const report = await rig.run()
  assert.equal(report.work.abandoned, 1_000)
  assert.ok(busiest(rig) <= 201, `${busiest(rig)}`)
})

test('connections that a preClose holds back until the end are closed in time', async () => {
  const rig = createRig({ spread: 'auto', frameCost: 0.03 })
  rig.crowd(5_000)
  rig.drain.preClose(() => new Promise(() => {}))
  const report = await rig.run('close')
  assert.ok(rig.frames[0]!.at < 5_000)
  assert.ok(rig.frames.at(-1)!.at <= 5_600)
  assert.equal(report.connections.clean, 5_000)
})

test('a connection that works in its turn is closed when its work is done, before those that wait for their turns', async () => {
  const drain = async (busy: number | null) => {
    const rig = createRig(POD)
    const pairs = rig.crowd(400)
    void rig.start()
    await rig.clock.run(100)
    const job = busy === null ? null : work(pairs[busy]!)
    await rig.clock.run(900)
    job?.done()
    await rig.finish()
    return rig.frames.map(({ at, connection }) => ({ at, index: connection - pairs[0]!.connection.id }))
  }
  // The order is chance, and the same each time.
  const { index, at } = (await drain(null))[100]!
  assert.equal(at, 500)
  // The turn at 1,000 was taken when the work ended.
  assert.equal((await drain(index)).find((frame) => frame.index === index)!.at, 1_005)
})

// ——— moves

/** A rig whose clients can move, all or those of which `can` says so. */
function moving (options: RigOptions = {}, can: (connection: ManagedConnection) => boolean = () => true) {
  const asked: Array<{ at: number, connection: ManagedConnection, delay: number }> = []
  const moved = new Set<ManagedConnection>()
  const rig: Rig = createRig({
    ...POD,
    ...options,
    mover: {
      canAsk: can,
      ask: (connection, delay) => {
        if (!can(connection)) return false
        asked.push({ at: rig.elapsed, connection, delay })
        return true
      },
      moved: (connection) => moved.has(connection),
      end: (connection) => { connection.end('moved', 1012, 'moved') },
      move: () => Promise.resolve(false)
    }
  })
  /** Does what lib/move does when the client says that it has moved. */
  const move = (connection: ManagedConnection) => {
    moved.add(connection)
    for (const part of rig.host.hooks.moved) part.moved(connection)
    if (!connection.working) connection.end('moved', 1012, 'moved')
  }
  return { rig, asked, move }
}

test('clients that can move are asked in their turns, and those that move get no close frame of the drain', async () => {
  const { rig, asked, move } = moving({}, ({ id }) => id % 2 === 0)
  rig.crowd(400)
  void rig.start()
  for (let i = 0; i < 400; i++) {
    await rig.clock.run(5)
    const last = asked.at(-1)
    if (last?.connection.state === 'draining') move(last.connection)
  }
  const report = await rig.finish()
  assert.equal(asked.length, 200)
  assert.ok(asked.every(({ at, delay }) => delay === 0 && at % 5 === 0))
  assert.deepEqual(report.connections.causes, { moved: 200, drain: 200 })
  assert.ok(report.duration <= 2_005, `${report.duration}`)
  assert.ok(rig.frames.every(({ reason, at }) => reason === 'moved' || at % 5 === 0))
})

test('a few clients are asked at once, each for its own turn', async () => {
  const { rig, asked } = moving()
  rig.crowd(4)
  void rig.start()
  await rig.clock.run(0)
  assert.deepEqual(asked.map(({ at, delay }) => [at, delay]), [[0, 0], [0, 5], [0, 10], [0, 15]])
  assert.equal(rig.frames.length, 0)
})

test('a client that does not move is closed 5 s after its turn, in a turn of its own, and asked once', async () => {
  const { rig, asked } = moving()
  rig.crowd(2_000)
  const report = await rig.run()
  assert.equal(asked.length, 2_000)
  assert.equal(MOVE_TIME, 5_000)
  // A thousand have been asked by then; their frames take the turns of the next five seconds.
  assert.deepEqual(rig.frames.map(({ at }) => at), Array.from({ length: 2_000 }, (_, i) => (i < 1_000 ? 5_000 : 10_000) + i * 5))
  assert.ok(rig.frames.every(({ code, reason }) => code === 1012 && reason === 'service restart'))
  assert.equal(report.connections.clean, 2_000)
})

test('clients that do not move are closed by the moment of the last frame', async () => {
  const { rig } = moving({ terminationGracePeriod: undefined, timeout: 8_000 })
  rig.crowd(1_000)
  const report = await rig.run()
  assert.ok(rig.frames[0]!.at >= 5_000)
  assert.ok(rig.frames.at(-1)!.at <= 5_600)
  assert.equal(report.connections.clean, 1_000)
})

test('a client whose turn comes after the last frame is not asked', async () => {
  const { rig, asked } = moving({ terminationGracePeriod: undefined, timeout: 8_000 })
  rig.crowd(5_000)
  await rig.run()
  assert.ok(asked.length >= 600 && asked.length <= 5.6 * 200, `${asked.length}`)
  assert.equal(rig.frames.length, 5_000)
  assert.ok(busiest(rig) <= 1.05 * 200 + 1, `${busiest(rig)}`)
})

test('a connection that works is asked, too: when its client has moved its work goes on, until grace ends', async () => {
  const { rig, asked, move } = moving()
  const ends = rig.connect()
  const works = rig.connect()
  const job = work(ends)
  work(works)
  void rig.start()
  await rig.clock.run(1_000)
  assert.equal(asked.length, 2)
  for (const { connection } of asked) move(connection)
  await rig.clock.run(19_000)
  assert.deepEqual([ends, works].map(({ connection }) => connection.state), ['draining', 'draining'])
  job.done()
  await rig.clock.flush()
  // lib/move ends it; the drain leaves that to it.
  assert.equal(ends.connection.state, 'draining')
  ends.connection.end('moved', 1012, 'moved')
  await rig.finish()
  assert.deepEqual(rig.frames.map(({ at, reason }) => [at, reason]), [[20_000, 'moved'], [rig.plan.grace, 'moved']])
})

test('no client is asked where no other server takes over', async () => {
  const { rig, asked } = moving({ takeover: false })
  rig.crowd(40)
  await rig.run()
  assert.equal(asked.length, 0)
  assert.equal(rig.frames.length, 40)
})

test('clients that are asked need not be there any more when their time is over', async () => {
  const { rig, asked } = moving()
  const pairs = rig.crowd(10)
  void rig.start()
  await rig.clock.run(1_000)
  assert.equal(asked.length, 10)
  for (const { socket } of pairs.slice(5)) socket.peerCloses(1001)
  for (const { socket } of pairs.slice(0, 5)) socket.rawGone()
  const report = await rig.finish()
  assert.equal(report.duration, 1_000)
  assert.equal(rig.host.leftovers, 0)
})
