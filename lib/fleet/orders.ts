/**
 * Orders to all nodes: disconnect, move, drain a part.
 *
 * All nodes are asked at once, and answer when they have begun. The order for a node that has not answered is put into its inbox, and
 * again after each beat, until that node has acknowledged it or has left: at least once within a beat of the moment at which both
 * reach the engine. A node keeps the ids of orders that it has carried out: each is carried out once.
 */
import { escapeReason } from '../base/close-codes.ts'
import { inSlices } from '../base/clock.ts'
import { SOCKETS_ERR_FLEET_UNAVAILABLE } from '../base/errors.ts'
import { attempt } from '../base/guard.ts'
import type { ActOptions } from '../connection/connection.ts'
import { codeOf, readAct } from '../track/audit.ts'
import { checkedClose } from '../track/close-options.ts'
import type { CloseOptions } from '../track/close-options.ts'
import type { FleetDrainOptions, FleetFilter } from '../track/fleet.ts'
import { missingOf, readAnswers, readCount } from './ask.ts'
import { nodesIn } from './fleet-filter.ts'
import type { Answer, Answers, FleetCore, FleetPart, NodeView } from './core.ts'
import type { Pulse } from './engine.ts'
import type { FleetHost } from './host.ts'
import { MAX_ID, readMessage, writeMessage } from './messages.ts'
import { OrderActs } from './order-acts.ts'
import { checkOrder, readOrder, targetOf } from './order.ts'
import type { Order, SentOrder } from './order.ts'

/** For how long an order is kept for nodes that have not answered, milliseconds. */
const KEPT_FOR = 600_000
/** For how long a node keeps the ids of orders that it has carried out, milliseconds: longer than an order is kept. */
const DONE_FOR = 900_000
/** Most orders that are kept. Above it, those for lost nodes are dropped, then orders are refused. */
const MAX_KEPT = 16_384
/** Most ids of orders that were carried out; the oldest go first. */
const MAX_DONE = 65_536
/** Most ids that one beat takes out of the inbox. */
const MAX_SETTLED = 4_096
/** Most orders that are put at the same time. */
const AT_ONCE = 64

/** An order that nodes have not acknowledged. */
interface Kept {
  readonly text: string
  readonly nodes: Set<string>
  readonly until: number
}

/** An order that was carried out. */
interface Done {
  readonly connections: number
  readonly until: number
}

export class FleetOrders implements FleetPart {
  readonly #core: FleetCore
  readonly #acts: OrderActs
  readonly #kept = new Map<string, Kept>()
  readonly #done = new Map<string, Done>()
  /** Ids of orders that are to leave the inbox, and those of them that the beat under way takes out. */
  readonly #settled = new Set<string>()
  #leaving: readonly string[] = []
  #lastId = 0
  #putting = false
  #carriedOut = 0
  readonly answers = { order: (body: unknown): unknown => ({ connections: this.#take(readOrder(body)) }) }
  readonly hears = {
    orders: (): void => { this.#core.beat() },
    done: (body: unknown, from: string): void => { for (const id of (body as { ids: string[] }).ids) this.#acknowledged(id, from) }
  }

  constructor (core: FleetCore, { reconnectCeiling }: Pick<FleetHost, 'reconnectCeiling'>, random: () => number = Math.random) {
    this.#core = core
    this.#acts = new OrderActs(core, reconnectCeiling, random)
  }

  /** Number of orders that nodes have not acknowledged. */
  get waiting (): number { return this.#kept.size }
  /** Number of orders that this node has carried out. */
  get carriedOut (): number { return this.#carriedOut }

  // ——— what the application asks for

  disconnect (filter: FleetFilter, close: CloseOptions = {}): Promise<Answer<number>> {
    return this.#give('disconnect', filter, close, () => ({ ...close, ...checkedClose(close), act: 'disconnect', filter }))
  }

  move (filter: FleetFilter, asked: ActOptions = {}): Promise<Answer<number>> {
    return this.#give('move', filter, asked, () => ({ ...asked, act: 'move', filter }))
  }

  drain (asked: FleetDrainOptions): Promise<Answer<number>> {
    return this.#give('drain', typeof asked === 'object' && asked !== null ? { fraction: asked.fraction } : asked, asked, () => ({ ...asked, act: 'drain' }))
  }

  // ——— events of the fleet

  settled (): readonly string[] { return (this.#leaving = [...this.#settled].slice(0, MAX_SETTLED)) }

  beaten ({ orders }: Pulse): void {
    for (const id of this.#leaving) this.#settled.delete(id)
    this.#leaving = []
    forget(this.#kept, this.#core.clock.now())
    this.#carryOutAll(orders)
    void this.#putAll()
  }

  left ({ id }: NodeView): void { for (const order of this.#kept.keys()) this.#acknowledged(order, id) }

  close (): void { this.#acts.close() }

  // ——— giving

  /** Gives an order, and tells the audit. */
  async #give (action: Order['act'], target: unknown, asked: ActOptions, make: () => Order): Promise<Answer<number>> {
    const act = { action, target, connections: 0 }
    try {
      const order = checkOrder(make())
      act.target = targetOf(order)
      const { answers, missing } = await this.#ask(order)
      const value = [...answers.values()].reduce((sum, connections) => sum + connections, 0)
      const complete = missing.length === 0
      this.#core.audit({ ...act, ...readAct(order), outcome: 'done', connections: value, ...(complete ? {} : { missing: missing.length }) })
      return { value, complete, missing }
    } catch (error) {
      this.#core.audit({ ...act, ...readAct(asked), outcome: 'failed', error: codeOf(error) })
      throw error
    }
  }

  /** Asks the nodes, and keeps the order for those that do not answer. Rejects only if none can have heard. */
  async #ask (order: Order): Promise<Answers<number>> {
    if (this.#kept.size >= MAX_KEPT && !this.#dropLost()) throw new SOCKETS_ERR_FLEET_UNAVAILABLE(`${MAX_KEPT} orders wait for nodes that do not answer`)
    await this.#core.ready()
    const { node, clock } = this.#core
    const sent: SentOrder = { id: `${node}/${++this.#lastId}`, from: node, order }
    const to = (order.act === 'drain' ? undefined : nodesIn(order.filter)) ?? [...this.#core.nodes.keys()]
    const asked = await this.#core.ask<unknown>('order', sent, to).then(
      (answers) => readAnswers(this.#core, answers, (answer) => readCount((answer as { connections: unknown }).connections)),
      () => {
        // The engine has failed meanwhile: this node has carried it out, unless that was before the question, and the others may have heard.
        const here = this.#done.get(sent.id)
        return { answers: new Map(here && [[node, here.connections]]), missing: missingOf(this.#core.nodes, to.filter((id) => id !== node || here === undefined)) }
      })
    this.#done.delete(sent.id)
    if (asked.missing.length > 0) {
      const kept = { text: writeMessage('order', node, sent), nodes: new Set(asked.missing.map((missing) => missing.node)), until: clock.now() + KEPT_FOR }
      this.#kept.set(sent.id, kept)
      void this.#put([[sent.id, kept]])
    }
    return asked
  }

  /** Drops the oldest order that waits for lost nodes alone, which most often never come back. Returns whether there was one. */
  #dropLost (): boolean {
    for (const [id, { nodes }] of this.#kept) {
      if (![...nodes].some((node) => this.#core.nodes.has(node))) return this.#kept.delete(id)
    }
    return false
  }

  /** Puts all orders that are kept; unless the last time is not over. */
  async #putAll (): Promise<void> {
    if (this.#putting) return
    this.#putting = true
    await this.#put(this.#kept)
    this.#putting = false
  }

  /** Puts orders into the inboxes of the nodes that have not acknowledged them. */
  async #put (orders: Iterable<readonly [id: string, kept: Kept]>): Promise<void> {
    const { engine, node, nodes } = this.#core
    const notice = writeMessage('orders', node, {})
    const puts = [...orders].flatMap(([id, { text, nodes: waiting }]) => [...waiting].filter((to) => nodes.has(to)).map((to) => ({ to, id, text })))
    for (let i = 0; i < puts.length && this.#core.up; i += AT_ONCE) {
      await Promise.all(puts.slice(i, i + AT_ONCE).map(({ to, id, text }) => engine.order(to, id, text, notice).catch(() => {})))
    }
  }

  #acknowledged (id: string, by: string): void {
    const kept = this.#kept.get(id)
    if (kept?.nodes.delete(by) === true && kept.nodes.size === 0) this.#kept.delete(id)
  }

  // ——— carrying out

  /** Carries out what was in the inbox, and acknowledges it. */
  #carryOutAll (orders: Pulse['orders']): void {
    const acknowledged = new Map<string, string[]>()
    inSlices(this.#core.clock, orders, ([id, text]) => {
      this.#settled.add(id)
      attempt(() => {
        const sent = readOrder(readMessage(text)!.body)
        if (sent.id !== id) throw new TypeError('not the order of this id')
        this.#take(sent)
        const ids = acknowledged.get(sent.from)
        if (ids === undefined) acknowledged.set(sent.from, [id])
        else ids.push(id)
      }, () => { this.#core.ignore() })
    }, () => {
      // Not before: after a long outage the inbox may still have one.
      forget(this.#done, this.#core.clock.now())
      for (const [from, ids] of acknowledged) this.#core.send([from], 'done', { ids }).catch(() => {})
    })
  }

  /** Carries out an order, once. Returns the number of its connections. */
  #take ({ id, from, order }: SentOrder): number {
    const before = this.#done.get(id)
    if (before !== undefined) return before.connections
    const connections = this.#acts.carryOut(order)
    this.#carriedOut++
    const { node, clock } = this.#core
    if (from !== node && connections > 0) this.#core.audit({ action: order.act, ...readAct(order), target: targetOf(order), outcome: 'done', connections, from: escapeReason(from, MAX_ID) })
    this.#done.set(id, { connections, until: clock.now() + DONE_FOR })
    const [oldest] = this.#done.keys()
    if (this.#done.size > MAX_DONE) this.#done.delete(oldest!)
    return connections
  }
}

/** Removes the entries whose time has passed; all are kept for the same time. */
function forget (entries: Map<string, { readonly until: number }>, now: number): void {
  for (const [id, { until }] of entries) {
    if (until > now) break
    entries.delete(id)
  }
}
