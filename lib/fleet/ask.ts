/**
 * Questions to nodes: a message `ask`, and a message `answer` of each node that it asks. What has not arrived at the deadline is missing.
 */
import { afterInput } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { deferred } from '../base/deferred.ts'
import { SOCKETS_ERR_FLEET_UNAVAILABLE } from '../base/errors.ts'
import { attempt } from '../base/guard.ts'
import type { Answers, MissingNode, NodeView } from './core.ts'
import type { Messages } from './messages.ts'

/** Answers a question. */
export type AnswerTo = (body: unknown) => unknown

/** What questions need. */
export interface AskHost {
  readonly node: string
  readonly clock: Clock
  readonly messages: Messages
  readonly nodes: ReadonlyMap<string, NodeView>
}

/** A question under way. */
interface Question {
  /** Nodes whose answer has not arrived. */
  readonly waiting: Set<string>
  readonly answers: Map<string, unknown>
  readonly missing: MissingNode[]
  done (): void
}

export class Ask {
  readonly #host: AskHost
  readonly #answers = new Map<string, AnswerTo>()
  readonly #underWay = new Map<number, Question>()
  #lastId = 0

  constructor (host: AskHost) {
    this.#host = host
    host.messages.handle({
      ask: (body, from) => {
        // Read here: what throws in a handler is ignored, and what rejects would end the process.
        const { id, type, body: question } = body as Record<string, unknown>
        void this.#asked({ id, type, body: question }, from)
      },
      answer: (body, from) => { this.#answered(body, from) }
    })
  }

  /** Says how questions of some types are answered. */
  handle (answers: Readonly<Record<string, AnswerTo>>): void {
    for (const [type, answer] of Object.entries(answers)) this.#answers.set(type, answer)
  }

  /** Asks nodes, this one too if it is among them, and waits so many milliseconds. Rejects with SOCKETS_ERR_FLEET_UNAVAILABLE. */
  async ask<T> (type: string, body: object, to: readonly string[], wait: number): Promise<Answers<T>> {
    const { node, clock, messages } = this.#host
    const id = ++this.#lastId
    const { promise, resolve } = deferred<Error | undefined>()
    const question: Question = { waiting: new Set(to), answers: new Map(), missing: [], done: () => { resolve(undefined) } }
    this.#underWay.set(id, question)
    const others = to.filter((each) => each !== node)
    let sent = others.length === 0
    messages.send(others, 'ask', { id, type, body }).then(() => { sent = true }, resolve)
    const expired = () => { resolve(sent ? undefined : new SOCKETS_ERR_FLEET_UNAVAILABLE(`a question was not sent within ${wait} ms`)) }
    // After a stall of this process the answers may have arrived, but not been read.
    const timer = clock.setTimeout(() => { afterInput(clock, expired) }, wait)
    timer.unref()
    if (question.waiting.has(node)) void this.#answer(type, body).then(({ value }) => { this.#settle(question, node, value) })
    else this.#finish(question)
    const error = await promise
    this.#underWay.delete(id)
    clock.clearTimeout(timer)
    if (error !== undefined) throw error
    question.missing.push(...missingOf(this.#host.nodes, question.waiting))
    return { answers: question.answers as Map<string, T>, missing: question.missing }
  }

  /** A node is gone: no question waits for it. What has said that it leaves has closed its connections, and is not missing. */
  gone (id: string, said: boolean, lastSeen: number): void {
    for (const question of this.#underWay.values()) {
      if (!question.waiting.delete(id)) continue
      if (!said) question.missing.push({ node: id, state: 'lost', lastSeen })
      this.#finish(question)
    }
  }

  /** Another node has asked. */
  async #asked ({ id, type, body }: Record<'id' | 'type' | 'body', unknown>, from: string): Promise<void> {
    const value = await this.#answer(type as string, body)
    this.#host.messages.send([from], 'answer', { id, ...value }).catch(() => {})
  }

  /** Returns the answer of this node; without a value if it has none. */
  async #answer (type: string, body: unknown): Promise<{ value?: unknown }> {
    const answer = this.#answers.get(type)
    if (answer === undefined) {
      this.#host.messages.ignore()
      return {}
    }
    try {
      return { value: await answer(body) }
    } catch {
      // The question of a newer version, or of another program.
      this.#host.messages.ignore()
      return {}
    }
  }

  #answered (given: unknown, from: string): void {
    const { id, value } = given as Record<string, unknown>
    const question = this.#underWay.get(id as number)
    // An answer may come late.
    if (question?.waiting.has(from) === true) this.#settle(question, from, value)
  }

  #settle (question: Question, node: string, value: unknown): void {
    question.waiting.delete(node)
    if (value === undefined) question.missing.push(...missingOf(this.#host.nodes, [node]))
    else question.answers.set(node, value)
    this.#finish(question)
  }

  #finish (question: Question): void { if (question.waiting.size === 0) question.done() }
}

/** Says of nodes, by their ids, that they have not answered. One that is not known is lost. */
export function missingOf (nodes: ReadonlyMap<string, NodeView>, ids: Iterable<string>): MissingNode[] {
  return Array.from(ids, (node) => ({ node, state: nodes.has(node) ? 'silent' : 'lost', lastSeen: nodes.get(node)?.lastSeen ?? null }))
}

/** Reads the answers of other nodes, which are unchecked. A node whose answer `read` throws for is missing. */
export function readAnswers<T> ({ nodes }: { readonly nodes: ReadonlyMap<string, NodeView> }, { answers, missing }: Answers<unknown>, read: (value: unknown, node: string) => T): Answers<T> {
  const result = new Map<string, T>()
  const wrong: string[] = []
  for (const [node, value] of answers) attempt(() => { result.set(node, read(value, node)) }, () => { wrong.push(node) })
  return { answers: result, missing: [...missing, ...missingOf(nodes, wrong)] }
}

/** Throws if what a node has answered is not what it should be. */
export function must (isRight: boolean): void { if (!isRight) throw new TypeError('an answer has an unknown form') }

/** Reads a number of connections. */
export function readCount (value: unknown): number {
  must(Number.isSafeInteger(value) && (value as number) >= 0)
  return value as number
}
