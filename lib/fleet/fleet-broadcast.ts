/**
 * Broadcasts over the fleet: at most once, to the nodes that have connections of the owner or with the tag, else to all.
 */
import { Buffer } from 'node:buffer'
import { show } from '../base/check.ts'
import { SOCKETS_ERR_INVALID_ARGUMENT } from '../base/errors.ts'
import type { BroadcastResult } from '../track/broadcast.ts'
import type { FleetFilter } from '../track/fleet.ts'
import { missingOf, must, readAnswers, readCount } from './ask.ts'
import type { Answer, FleetCore, FleetPart, MissingNode } from './core.ts'
import { checkRemoteFilter, filterOn, labelOf, nodesIn } from './fleet-filter.ts'
import type { FleetHost } from './host.ts'

/** Longest message, bytes. */
const MAX_BYTES = 2 ** 20

export class FleetBroadcast implements FleetPart {
  readonly #core: FleetCore
  readonly #host: FleetHost

  readonly answers = {
    broadcast: (body: unknown) => {
      const { text, bytes, filter } = body as { text?: string, bytes?: string, filter: unknown }
      // Of an object with a length, Buffer makes as many bytes.
      must(text !== undefined || typeof bytes === 'string')
      return this.#sendHere(text ?? Buffer.from(bytes!, 'base64'), checkRemoteFilter(filter))
    }
  }

  constructor (core: FleetCore, host: FleetHost) {
    this.#core = core
    this.#host = host
  }

  async send (data: string | Uint8Array, given: FleetFilter): Promise<Answer<BroadcastResult>> {
    const filter = checkRemoteFilter(given)
    const body = bodyOf(data)
    // At once: connections of this node get messages to them alone, and broadcasts, in the order of the calls.
    const own = this.#sendHere(data, filter)
    const { results, missing, known } = await this.#sendToOthers({ ...body, filter }, filter)
    const result = [await own, ...results].reduce((sum, each) => ({ sent: sum.sent + each.sent, queued: sum.queued + each.queued, dropped: sum.dropped + each.dropped }))
    return { value: result, complete: known && missing.length === 0, missing }
  }

  #sendHere (data: string | Uint8Array, filter: FleetFilter): Promise<BroadcastResult> {
    const here = filterOn(this.#core.node, filter)
    return here === null ? Promise.resolve({ sent: 0, queued: 0, dropped: 0 }) : this.#host.broadcast(data, here)
  }

  /** `known`: whether it is known which nodes there are. */
  async #sendToOthers (body: object, filter: FleetFilter): Promise<{ results: BroadcastResult[], missing: readonly MissingNode[], known: boolean }> {
    const { node, nodes } = this.#core
    const others = () => (nodesIn(filter) ?? [...nodes.keys()]).filter((id) => id !== node)
    const since = this.#core.clock.now()
    try {
      await this.#core.ready()
      const label = labelOf(filter)
      const to = label === null ? others() : (await this.#core.engine.find(label.kind, label.label)).nodes.map(([id]) => id).filter((id) => id !== node)
      const { answers, missing } = readAnswers(this.#core, await this.#core.ask('broadcast', body, to, since), readResult)
      return { results: [...answers.values()], missing, known: true }
    } catch {
      return { results: [], missing: missingOf(nodes, others()), known: nodesIn(filter) !== undefined }
    }
  }
}

function bodyOf (data: unknown): { text: string } | { bytes: string } {
  const isText = typeof data === 'string'
  if (!isText && !(data instanceof Uint8Array)) throw new SOCKETS_ERR_INVALID_ARGUMENT('data', 'a string or bytes', show(data))
  const length = isText ? Buffer.byteLength(data) : data.byteLength
  if (length > MAX_BYTES) throw new SOCKETS_ERR_INVALID_ARGUMENT('data', `at most ${MAX_BYTES} bytes`, `${length} bytes`)
  return isText ? { text: data } : { bytes: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64') }
}

function readResult (value: unknown): BroadcastResult {
  const { sent, queued, dropped } = value as BroadcastResult
  return { sent: readCount(sent), queued: readCount(queued), dropped: readCount(dropped) }
}
