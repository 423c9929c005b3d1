/**
 * The options of the page, and their check.
 */
import type { FastifyRequest, onRequestHookHandler, preHandlerHookHandler } from 'fastify'
import { check, show } from '../../base/check.ts'
import { SOCKETS_ERR_PAGE_UNPROTECTED } from '../../base/errors.ts'
import { knownKeys } from '../../options/keys.ts'

/** What the page may do. */
export const ACTIONS = ['disconnect', 'drain'] as const

/** An act of the page: to close connections, or to drain the server. */
export type PageAction = typeof ACTIONS[number]

/** Options of the page. */
export interface PageOptions {
  /** Path of the page. @default '/' */
  prefix?: string
  /** Hooks that authenticate each request of the page; this or `preHandler` must be given. */
  onRequest?: onRequestHookHandler | onRequestHookHandler[]
  /** Hooks that authenticate each request of the page. */
  preHandler?: preHandlerHookHandler | preHandlerHookHandler[]
  /** Allows the page without hooks, where another layer authenticates. @default false */
  unprotected?: boolean
  /** What the page may do; without any, it only shows. @default [] */
  actions?: PageAction[]
  /** Who acts, for the audit: what the hooks have authenticated. @default none: the audit does not name who acts */
  by?: (request: FastifyRequest) => string | undefined
}

/** The options, checked and filled. */
export interface ResolvedPageOptions {
  readonly onRequest: readonly onRequestHookHandler[]
  readonly preHandler: readonly preHandlerHookHandler[]
  readonly actions: readonly PageAction[]
  readonly by: (request: FastifyRequest) => string | undefined
}

const KEYS = ['onRequest', 'preHandler', 'unprotected', 'actions', 'by', 'prefix', 'logLevel', 'logSerializers']

/** Checks the options. Throws SOCKETS_ERR_INVALID_OPTION, SOCKETS_ERR_PAGE_UNPROTECTED. */
export function resolvePageOptions (given: PageOptions): ResolvedPageOptions {
  knownKeys('', given, KEYS)
  const hooks = { onRequest: listOf('onRequest', given.onRequest), preHandler: listOf('preHandler', given.preHandler) }
  const unprotected = check.flag('unprotected', given.unprotected, false)
  if (!unprotected && hooks.onRequest.length + hooks.preHandler.length === 0) throw new SOCKETS_ERR_PAGE_UNPROTECTED()
  const actions = check.where('actions', given.actions, [], Array.isArray, `an array of ${ACTIONS.map(show).join(', ')}`)
  for (const action of actions) if (!ACTIONS.includes(action)) check.wrong('actions', `an array of ${ACTIONS.map(show).join(', ')}`, show(actions))
  return { ...hooks, actions, by: check.fn('by', given.by) ?? (() => undefined) }
}

function listOf<T extends Function> (name: string, given: T | readonly T[] | undefined): readonly T[] {
  const hooks = given === undefined ? [] : Array.isArray(given) ? given as readonly T[] : [given as T]
  // An undefined entry is a decorator that does not exist, such as that of a plugin that is not loaded yet.
  for (const hook of hooks) check.fn(`each hook of ${name}`, hook ?? check.wrong(name, 'a function or an array of functions', show(given)))
  return hooks
}
