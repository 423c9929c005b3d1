/**
 * graphql-ws's own client, for both servers that speak its protocol.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { createClient } from 'graphql-ws'
import type { Client as GraphqlClient } from 'graphql-ws'
import { WebSocket } from 'ws'
import { deferred } from '../../lib/base/deferred.ts'
import type { Closed } from '../helpers/server.ts'
import { FAULT } from './checks.ts'
import type { Client } from './checks.ts'

/** A client that stays connected, and comes back until it is stopped. */
export interface GraphqlTestClient extends Client {
  graphql: GraphqlClient
}

/** Connects; `works` is what the test calls its proof. */
export async function connectGraphql (
  t: TestContext, url: string, works: (graphql: GraphqlClient) => Promise<void>
): Promise<GraphqlTestClient> {
  const ended = deferred<Closed>()
  let stopped = false
  const graphql = createClient({
    url,
    webSocketImpl: WebSocket,
    lazy: false,
    shouldRetry: () => !stopped,
    retryAttempts: Infinity,
    retryWait: () => new Promise((resolve) => { setTimeout(resolve, 20) }),
    onNonLazyError: () => {},
    on: {
      closed: (event) => {
        const { code, reason } = event as Closed
        ended.resolve({ code, reason })
      }
    }
  })
  const stop = async () => {
    stopped = true
    // Rejects with what the last attempt to connect ended with.
    await Promise.resolve(graphql.dispose()).catch(() => {})
  }
  t.after(stop)
  await new Promise<void>((resolve) => { graphql.on('connected', () => { resolve() }) })
  return {
    graphql,
    ended: ended.promise,
    works: () => works(graphql),
    provoke: () => { ask(graphql, `{ ${FAULT}: hello }`).catch(() => {}) },
    stop
  }
}

/** The first result of an operation; ends it. */
export async function ask<Data> (graphql: GraphqlClient, query: string): Promise<Data> {
  const results = graphql.iterate<Data>({ query })
  try {
    const { value } = await results.next()
    assert.equal(value?.errors, undefined)
    return value!.data!
  } finally {
    await results.return?.()
  }
}
