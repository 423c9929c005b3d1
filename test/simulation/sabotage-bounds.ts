/**
 * Deliberate breaks of what bounds connections (limits, rates, backpressure, pressure, modes), of broadcasts, and of the end of a
 * drain that has too little CPU.
 */
import { Enforcement } from '../../lib/track/enforcement.ts'
import { ManagedConnection } from '../../lib/connection/managed-connection.ts'
import { EvictionBudget } from '../../lib/limit/eviction-budget.ts'
import { CloseFrames } from '../../lib/drain/close-frame.ts'
import { CutOff } from '../../lib/drain/cut-off.ts'
import { Slots } from '../../lib/limit/slots.ts'
import { Backpressure } from '../../lib/limit/backpressure.ts'
import { Broadcasts } from '../../lib/track/broadcast.ts'
import { MessageRate } from '../../lib/limit/message-rate.ts'
import { fake } from '../helpers/fake-socket.ts'
import { method, patch, transport } from './broken.ts'
import type { Sabotage } from './broken.ts'
import { COUNTED } from './invariants/broadcasts.ts'
import { WRITERS } from './invariants/readers.ts'

export const BOUNDS: readonly Sabotage[] = [
  {
    invariant: 'no limit is exceeded',
    what: 'one more is not counted',
    begin: () => patch(Slots.prototype, (original) => ({
      withOneMore: method<Slots>(function (key: string) {
        const { counted, physical } = original.withOneMore.call(this, key)
        return { counted: counted - 1, physical: physical - 1 }
      })
    }))
  },
  {
    invariant: 'no connection is evicted in vain',
    what: 'one more is counted twice',
    begin: () => patch(Slots.prototype, (original) => ({
      withOneMore: method<Slots>(function (key: string) {
        const { counted, physical } = original.withOneMore.call(this, key)
        return { counted: counted + 1, physical }
      })
    }))
  },
  {
    invariant: 'evictions are bounded',
    what: 'evictions are not counted',
    begin: () => patch(EvictionBudget.prototype, () => ({ spend: method(() => {}) }))
  },
  {
    invariant: 'pressure evicts while it lasts, and only idle connections',
    what: 'there is always pressure',
    begin: () => ({ parts: { isUnderPressure: () => true } })
  },
  {
    invariant: 'a policy that only observes ends no connection',
    what: 'every policy acts',
    begin: () => patch(Enforcement.prototype, () => ({ allows: method(() => true) }))
  },
  {
    invariant: 'a connection that reads is not slow',
    what: 'what a slow peer takes is not seen',
    begin: () => transport({ bytesTaken: () => 0 })
  },
  {
    invariant: 'a connection that takes nothing is closed in time',
    what: 'what is sent counts as taken',
    begin: () => transport({ bytesTaken: (socket) => fake(socket).clock.now() })
  },
  {
    invariant: 'no connection holds more bytes than it may',
    what: 'what is sent is not looked at',
    begin: () => patch(Backpressure.prototype, () => ({ sent: method(() => {}) }))
  },
  {
    invariant: WRITERS,
    what: 'code that waits to write is not told',
    begin: () => patch(ManagedConnection.prototype, () => ({ writable: method(async () => { await new Promise(() => {}) }) }))
  },
  {
    invariant: 'a client that keeps to its rate is neither closed nor paused',
    what: 'a message is paid for twice',
    begin: () => patch(MessageRate.prototype, (original) => ({
      received: method<MessageRate>(function (connection: ManagedConnection) { return original.received.call(this, connection) && original.received.call(this, connection) })
    }))
  },
  {
    invariant: 'no client gets more through than its rate',
    what: 'messages cost nothing',
    begin: () => patch(MessageRate.prototype, () => ({ received: method(() => true) }))
  },
  {
    invariant: 'messages are sent in the order of the calls',
    what: 'what is sent to one alone overtakes broadcasts',
    begin: () => patch(Broadcasts.prototype, () => ({ sending: method(() => {}) }))
  },
  {
    invariant: 'messages are sent in the order of the calls',
    what: 'a broadcast comes in the middle of a fragmented message',
    begin: () => transport({ isMidMessage: () => false })
  },
  {
    invariant: COUNTED,
    what: 'a broadcast leaves out the first',
    begin: () => patch(Broadcasts.prototype, (original) => ({
      send: method<Broadcasts>(function (...[data, targets]: Parameters<Broadcasts['send']>) { return original.send.call(this, data, targets.slice(1)) })
    }))
  },
  {
    invariant: 'what a drain leaves because there was too little CPU is ended right behind it',
    what: 'nothing is given up after the report',
    begin () {
      let reported = false
      const whileDraining = (original: (...args: never[]) => unknown) => method(function (...args) { if (!reported) Reflect.apply(original, this, args) })
      const all = [
        patch(CutOff.prototype, (original) => ({
          giveUp: method<CutOff>(function (endAt: number, aborted: boolean, done: () => void) {
            original.giveUp.call(this, endAt, aborted, () => {
              reported = true
              done()
            })
          })
        })),
        patch(CloseFrames.prototype, ({ terminate }) => ({ terminate: whileDraining(terminate) })),
        patch(ManagedConnection.prototype, ({ giveUp }) => ({ giveUp: whileDraining(giveUp) }))
      ]
      return { undo: () => { for (const { undo } of all) undo!() } }
    }
  }
]
