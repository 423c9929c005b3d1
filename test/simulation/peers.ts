/**
 * A simulated peer: a fake socket, what it does by itself, and the truth about it, which the invariants compare with
 * what the tracker believes. Nothing here asks the code under test.
 */
import type { CloseCause } from '../../lib/base/close-codes.ts'
import type { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import type { Settings } from '../../lib/connection/settings.ts'
import { FakeSocket } from '../helpers/fake-socket.ts'
import { TICK } from './time.ts'
import type { Moment } from './time.ts'
import type { World } from './world.ts'

/** How a peer dies: `frozen` (its kernel takes bytes for a while), `cut` (nothing leaves), `deaf` (reads, never answers). */
export type Death = 'frozen' | 'cut' | 'deaf'

/** What a peer does on its own. */
export interface Habit {
  readonly name: string
  readonly weight: number
  /** Called when it opens. */
  begin (peer: Peer): void
}

export class Peer {
  readonly world: World
  readonly name: string
  readonly socket: FakeSocket
  readonly settings: Settings
  /** Set when it was accepted. */
  connection!: ManagedConnection
  readonly habit: Habit
  /** Until it is dead, has left or has vanished. */
  alive = true
  diedAt: number | null = null
  /** Milliseconds until it answers a ping; false where it is busy with something else. */
  answersPings: (() => number) | false = () => 0
  /** Milliseconds until it answers a close frame; false: never. */
  answersClose: number | false = 0
  /** The last moment, in `slow`, at which its kernel or ours could tell that it lives, or its data were not read. */
  lastSign: number
  /** When, in `slow`, it was read again. */
  pausedUntil = -Infinity
  /** When its last message was read. */
  lastMessage: Moment
  /** When its idle timeout began anew. */
  idleSince: Moment
  /** What has happened that may be the cause of its end. */
  readonly causes = new Set<CloseCause>()
  /** Tracked promises that have not settled. */
  jobs = 0
  /** Cleanups that were added, and when in `slow` the last one was. */
  cleanups = 0
  deferredAt = -Infinity
  sent = 0
  /** Numbers of the messages that its listener and its consumer have got. */
  readonly listened: number[] = []
  readonly consumed: number[] = []
  readonly acceptedAt: Moment
  /** When it was announced. */
  openedAt: Moment | null = null
  closingAt: Moment | null = null
  /** The last moment, in `slow`, at which its close frame moved on. */
  frameMovedAt = -Infinity
  goneAt: Moment | null = null
  /** Why the tracker began to end it. */
  ended: CloseCause | null = null
  /** It was let in, and the owner that it counts for. */
  entered = false
  heldOwner: string | undefined
  /** Since when it has taken nothing of what waits for it. */
  stuckSince: Moment | null = null
  /** Times of its messages that were read, and of those that were delivered. */
  readonly readAt: number[] = []
  readonly deliveredAt: number[] = []
  closed = false
  tagged = false
  /** Methods of its socket that the application has replaced throw now and then. */
  methodsThrow = false
  /** How many messages a `send` that has replaced the socket's has sent, and the frames there were before. */
  replaced: { from: number, seen: number } | null = null
  /** Its `signal`, where its handler has asked for it. */
  signal: AbortSignal | null = null
  /** Number of the last message that it alone was sent. */
  message = 0

  constructor (world: World, name: string, habit: Habit, settings: Settings, handle: boolean) {
    this.world = world
    this.name = name
    this.habit = habit
    this.settings = settings
    this.socket = new FakeSocket(world.clock, { handle })
    this.acceptedAt = this.lastMessage = this.idleSince = world.time.moment
    this.lastSign = this.acceptedAt.slow
    this.#watch()
  }

  /** Longest time it may be silent for our sake, and be well: short of its allowance by two beats, as a stall counts as one. */
  get allowance (): number {
    const { heartbeat } = this.settings
    if (heartbeat === false) return 500
    const look = heartbeat.interval / 2
    const beat = Math.min(250, Math.max(TICK, look / 5))
    return Math.max(0, 2 * heartbeat.maxMissed * look - 2 * beat)
  }

  /** Does something later, if it can still do anything. */
  later (delay: number, act: () => void): void {
    const then = () => { if (this.alive && !this.socket.destroyed) act() }
    if (delay === 0) then()
    else this.world.schedule.add(this.world.clock.now() + delay, then)
  }

  says (text?: string): void { this.socket.peerSends(text ?? `${this.sent++}`) }

  dies (how: Death): void {
    this.#ends()
    if (how === 'cut') this.socket.peer = 'stuck'
    if (how === 'frozen') this.world.later(this.world.random.upTo(500), () => { this.socket.peer = 'stuck' })
    if (how === 'deaf') this.#deaf = true
  }

  leaves (code: number): void {
    this.#ends()
    this.causes.add('client')
    this.socket.peerCloses(code, 'bye')
  }

  vanishes (): void {
    this.#ends()
    this.causes.add('network')
    this.socket.rawGone()
  }

  /** It breaks a rule of the protocol: ws answers it with 1002 by itself. */
  breaks (): void {
    this.causes.add('protocol')
    this.world.clock.input(() => {
      if (this.socket.destroyed || this.socket.readyState !== this.socket.OPEN) return
      this.connection.socketClosing('protocol', 1002, '')
      this.socket.close(1002)
    })
  }

  /** The application sends much, and it reads slowly. */
  isFlooded (bytes: number): void {
    if (this.socket.readyState !== this.socket.OPEN || this.socket.destroyed) return
    const reading = this.socket.pending > 0
    this.socket.peer = 'stuck'
    this.world.sending.sends(this, bytes)
    if (!reading) this.#reads()
  }

  #deaf = false

  #reads (): void {
    const { random } = this.world
    this.world.later(random.between(1, Math.max(1, Math.min(this.allowance, 600))), () => {
      if ((!this.alive && !this.#deaf) || this.socket.destroyed) return
      const left = Math.max(0, this.socket.pending - random.between(500, 4_000))
      if (left === 0) this.socket.peer = 'silent'
      this.socket.bytesPending(left)
      if (left > 0) this.#reads()
    })
  }

  #ends (): void {
    this.alive = false
    this.diedAt ??= this.world.time.slow
  }

  #watch (): void {
    const { socket } = this
    const sign = () => { this.lastSign = this.world.time.slow }
    onChange(socket, 'bytesRead', sign)
    onChange(socket, 'paused', () => {
      sign()
      this.pausedUntil = this.world.time.slow
    })
    onChange(socket, 'pending', (now, before) => {
      if (now === 0) this.stuckSince = null
      else if (now < before || before === 0) this.stuckSince = this.world.time.moment
      if (now >= before) return
      sign()
      this.frameMovedAt = this.lastSign
    })
    onChange(socket, 'closeFrameSent', () => {
      this.frameMovedAt = this.world.time.slow
      if (this.answersClose === false) return
      this.later(this.answersClose, () => { if (!socket.closeFrameReceived) socket.peerAnswers() })
    })
    onChange(socket, 'destroyed', () => { this.goneAt ??= this.world.time.moment })
    const { ping } = socket
    socket.ping = (left) => {
      ping.call(socket, () => {
        left()
        if (this.answersPings === false) return
        this.later(this.answersPings(), () => { socket.peerPongs() })
      })
    }
  }
}

/** Calls `changed` whenever a property gets another value. */
function onChange<K extends 'bytesRead' | 'paused' | 'pending' | 'closeFrameSent' | 'destroyed'> (
  socket: FakeSocket, key: K, changed: (now: FakeSocket[K], before: FakeSocket[K]) => void
): void {
  let value = socket[key]
  Object.defineProperty(socket, key, {
    get: () => value,
    set: (now: FakeSocket[K]) => {
      const before = value
      value = now
      if (now !== before) changed(now, before)
    }
  })
}

/** The habits there are. */
export const HABITS: readonly Habit[] = [
  { name: 'prompt', weight: 4, begin () {} },
  {
    name: 'late',
    weight: 4,
    begin (peer) { peer.answersPings = () => peer.world.random.upTo(peer.allowance) }
  },
  {
    name: 'latest',
    weight: 5,
    begin (peer) { peer.answersPings = () => peer.allowance }
  },
  {
    name: 'talker',
    weight: 3,
    begin (peer) {
      const { random } = peer.world
      if (peer.allowance >= TICK && random.chance(0.5)) peer.answersPings = false
      const talk = () => {
        peer.says()
        peer.later(random.between(1, Math.max(1, peer.allowance)), talk)
      }
      talk()
    }
  },
  {
    // Its pongs would have to wait for the end of the message.
    name: 'sends parts',
    weight: 2,
    begin (peer) {
      if (peer.allowance < TICK) return
      const { random } = peer.world
      peer.answersPings = false
      const send = () => {
        if (random.chance(0.1)) peer.says()
        else peer.socket.peerSendsBytes(random.between(1, 2_000))
        peer.later(random.between(1, peer.allowance), send)
      }
      send()
    }
  }
]
