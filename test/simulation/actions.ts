/**
 * Everything that can happen between two advances of the clock, each with how often it does.
 */
import { handlerFailed } from '../../lib/connection/faults.ts'
import { addCleanup, chooseSettings, fault, handle, work } from './application.ts'
import { HABITS } from './peers.ts'
import type { Peer } from './peers.ts'
import { TAG } from './world.ts'
import type { World } from './world.ts'

export interface Action {
  readonly name: string
  readonly weight: number
  /** Does it, to a peer where it asks for one. */
  act (world: World, peer: Peer): unknown
  /** Whether it needs no peer. */
  readonly alone?: true
}

const OWNERS = ['ann', 'bob']
const ADDRESSES = ['192.0.2.1', '192.0.2.2', '192.0.2.3']

type Who = { owner: string | undefined, ip: string }

function chooseWho ({ random }: World): Who {
  return { owner: random.chance(0.4) ? random.pick(OWNERS) : undefined, ip: random.pick(ADDRESSES) }
}

/** A handshake arrives, maybe waits in a hook, and opens where every door lets it through. */
function knock (world: World, who: Who = chooseWho(world)): void {
  const { admission, tracker, random } = world
  if (!tracker.accepting) return
  if (admission === null) return open(world, connect(world, who))
  if (admission.arrived('/') !== null || admission.addressed(who.ip, '/') !== null) return admission.left()
  const enter = () => {
    const opens = !world.over && tracker.accepting && admission.opening(who.ip, who.owner, true, '/') === null
    admission.left()
    if (opens) open(world, connect(world, who))
  }
  if (random.chance(0.8)) enter()
  else void world.job(enter).catch(() => {})
}

/** A client connects: its habit, its route's settings and its owner are chance. */
function connect (world: World, who: Who = chooseWho(world)): Peer {
  const { random, options } = world
  const peer = world.accept(random.weighted(HABITS), random.chance(0.3) ? chooseSettings(random) : options.settings, {
    handle: !random.chance(0.05),
    ...who
  })
  world.note(`${peer.name} (${peer.habit.name}) arrives, ${JSON.stringify(peer.settings)}`)
  const rude = random.chance(0.1)
  peer.answersClose = rude ? false : random.upTo(random.chance(0.2) ? options.closeTimeout * 2 : 20)
  if (random.chance(0.05)) {
    peer.connection.incoming.pause('listener')
    world.later(random.upTo(500), () => { peer.connection.incoming.resume('listener') })
  }
  return peer
}

function open (world: World, peer: Peer): void {
  world.announce(peer)
  handle(world, peer)
}

/** A point in time around now. */
function around (world: World): number {
  const { random } = world
  return world.clock.wallNow() + (random.chance(0.2) ? -random.upTo(3_000) : random.upTo(3_000))
}

/** What happens to connections and by their peers. */
const CONNECTIONS: readonly Action[] = [
  {
    name: 'connects',
    weight: 18,
    alone: true,
    act (world) {
      // One that admission has not held is below.
      knock(world)
    }
  },
  // It had spent the time until now in a verifyClient: admission did not hold it.
  { name: 'a handshake that was under way opens', weight: 6, alone: true, act: (world) => { open(world, connect(world)) } },
  {
    name: 'comes again and again',
    weight: 2.5,
    async act (world, { connection: { owner, ip } }) {
      for (let i = world.random.between(5, 40); i > 0 && world.breach === null; i--) {
        knock(world, { owner, ip })
        await world.advance(world.random.between(20, 100))
      }
    }
  },
  { name: 'says something', weight: 10, act: (_, peer) => { if (peer.alive) peer.says() } },
  { name: 'says much', weight: 2, act: ({ random }, peer) => { for (let i = random.upTo(20); i > 0 && peer.alive; i--) peer.says() } },
  { name: 'pongs unasked', weight: 1, act: (_, { alive, socket }) => { if (alive) socket.peerPongs({ ours: false }) } },
  { name: 'is frozen', weight: 2, act: (_, peer) => { if (peer.alive) peer.dies('frozen') } },
  { name: 'is cut off', weight: 2, act: (_, peer) => { if (peer.alive) peer.dies('cut') } },
  { name: 'goes deaf', weight: 2, act: (_, peer) => { if (peer.alive) peer.dies('deaf') } },
  { name: 'leaves', weight: 3, act: (_, peer) => { if (peer.alive) peer.leaves(1000) } },
  { name: 'vanishes', weight: 2, act: (_, peer) => { if (peer.alive && !peer.socket.destroyed) peer.vanishes() } },
  { name: 'breaks the protocol', weight: 1, act: (_, peer) => { if (peer.alive) peer.breaks() } }
]

/** What the application does to connections. */
const APPLICATION: readonly Action[] = [
  { name: 'is sent a lot', weight: 8, act: ({ random }, peer) => { peer.isFlooded(random.between(2_000, 40_000)) } },
  {
    name: 'all are sent the same',
    weight: 3,
    alone: true,
    act (world) {
      const { random, live } = world
      // In a row, with what concerns one alone in between: the last ones have not been served yet.
      for (let i = random.between(1, 5); i > 0; i--) {
        const peer = random.pick([...live])
        if (peer === undefined || random.chance(0.5)) world.sending.broadcasts(random.chance(0.3) ? { tag: TAG } : 'all', random.between(10, 2_000))
        else if (random.chance(0.9)) world.sending.sends(peer, 10)
        else {
          peer.causes.add('application')
          void peer.connection.close(4_000, 'enough')
        }
      }
    }
  },
  { name: 'pressure comes or goes', weight: 3, alone: true, act: (world) => { world.underPressure = !world.underPressure } },
  { name: 'is sent a little', weight: 2, act: (world, peer) => { world.sending.sends(peer, 5) } },
  { name: 'is waited for to write', weight: 4, act: (world, peer) => { world.sending.writes(peer) } },
  {
    name: 'gets a tag, or loses it',
    weight: 2,
    act ({ random }, peer) {
      const { connection } = peer
      peer.tagged = random.chance(0.7)
      if (peer.tagged) connection.tag(TAG)
      else connection.untag(TAG)
    }
  },
  {
    name: 'all of a tag are disconnected',
    weight: 0.5,
    alone: true,
    act ({ tracker, live }) {
      for (const { tagged, causes } of live) if (tagged) causes.add('disconnected')
      tracker.disconnect({ tag: TAG })
    }
  },
  { name: 'has work', weight: 5, act: (world, peer) => { work(world, peer) } },
  { name: 'gets a cleanup', weight: 5, act: (world, peer) => { addCleanup(world, peer) } },
  {
    name: 'is not read for a while',
    weight: 3,
    act (world, { socket }) {
      if (socket.readyState !== socket.OPEN) return
      socket.pause()
      world.later(world.random.upTo(3_000), () => { socket.resume() })
    }
  },
  { name: 'has a listener that throws', weight: 1, act: (_, peer) => { fault(peer) } },
  {
    name: 'has a listener that breaks its receiver',
    weight: 0.5,
    act (_, peer) {
      if (peer.connection.state !== 'open' || !peer.alive) return
      peer.socket.broken = true
      // No frame of its peer is understood any more.
      peer.answersClose = false
      fault(peer)
      if (!peer.socket.destroyed) peer.vanishes()
    }
  },
  { name: 'has methods that throw', weight: 1, act: (_, peer) => { peer.methodsThrow = true } },
  { name: 'has its send replaced', weight: 1, act: (world, peer) => { world.sending.wraps(peer) } },
  {
    name: 'has a handler that fails',
    weight: 0.5,
    act (_, { connection, causes }) {
      causes.add('error')
      handlerFailed(connection, new Error('on purpose'))
    }
  },
  {
    name: 'is closed',
    weight: 2,
    act ({ random }, { connection, causes, socket }) {
      causes.add('application')
      if (random.chance(0.3)) socket.close(1000)
      else void connection.close(4_000, 'enough')
    }
  },
  {
    name: 'is terminated',
    weight: 1,
    act (_, { connection, causes }) {
      causes.add('application')
      void connection.terminate()
    }
  },
  { name: 'gets another owner', weight: 3, act: (world, peer) => { world.setOwner(peer, world.random.pick([...OWNERS, undefined])) } },
  {
    name: 'all of an owner are disconnected',
    weight: 1,
    alone: true,
    act ({ random, tracker, live }) {
      const owner = random.pick(OWNERS)
      for (const { connection, causes } of live) if (connection.owner === owner) causes.add('disconnected')
      tracker.disconnect({ owner })
    }
  }
]

/** What becomes of the times of a connection, closed ones too. */
const TIMES: readonly Action[] = [
  {
    name: 'gets another idle timeout',
    weight: 3,
    act ({ random, time }, peer) {
      peer.connection.idleTimeout = random.chance(0.2) ? false : random.between(1, 3_000)
      peer.idleSince = time.moment
    }
  },
  { name: 'gets another lifetime', weight: 3, act: ({ random }, { connection }) => { connection.maxLifetime = random.chance(0.2) ? false : random.between(1, 6_000) } },
  { name: 'gets a token', weight: 5, act: (world, { connection }) => { connection.expiresAt = world.random.chance(0.1) ? undefined : around(world) } }
]

function noted (world: World, ms: number): number {
  world.note(`  … by ${ms} ms`)
  return ms
}

function stall (world: World, most: number): Promise<void> {
  return world.stall(noted(world, world.random.upTo(most)))
}

/** What becomes of time itself. */
const CLOCKS: readonly Action[] = [
  { name: 'a short stall', weight: 4, alone: true, act: (world) => stall(world, 150) },
  { name: 'a long stall', weight: 2, alone: true, act: (world) => stall(world, 10_000) },
  {
    // What it says is not read before the loop goes on.
    name: 'speaks while the loop stands still',
    weight: 2,
    act (world, peer) {
      const ms = noted(world, world.random.between(50, 2_000))
      world.later(ms, () => { if (peer.alive) peer.says() })
      return world.stall(ms)
    }
  },
  {
    name: 'stalls in a row',
    weight: 1,
    alone: true,
    async act (world) {
      world.starved = true
      for (let i = world.random.upTo(8); i > 0; i--) {
        await stall(world, 2_000)
        await world.advance(world.random.upTo(60))
      }
    }
  },
  { name: 'the machine sleeps', weight: 2, alone: true, act: (world) => world.suspend(noted(world, world.random.upTo(10_000))) },
  { name: 'the wall clock is set', weight: 2, alone: true, act: (world) => { world.time.jump(noted(world, world.random.between(-5_000, 5_000))) } },
  { name: 'the wall clock is set by years', weight: 0.2, alone: true, act: (world) => { world.time.jump(noted(world, world.random.pick([-5, 5]) * 31_536_000_000)) } },
  {
    name: 'the process gets little CPU',
    weight: 2,
    alone: true,
    act (world) {
      world.starved = true
      world.clock.share = world.random.pick([0.02, 0.1, 0.3])
    }
  },
  { name: 'the process gets all of the CPU', weight: 2, alone: true, act: ({ clock }) => { clock.share = 1 } },
  {
    name: 'the wall clock drifts',
    weight: 2,
    alone: true,
    act (world) {
      const rate = noted(world, world.random.between(-40, 40))
      for (let i = world.random.between(1, 20); i > 0; i--) world.later(i * 50 + 1, () => { world.time.jump(rate) })
    }
  }
]

export const ACTIONS: readonly Action[] = [...CONNECTIONS, ...APPLICATION, ...TIMES, ...CLOCKS]
