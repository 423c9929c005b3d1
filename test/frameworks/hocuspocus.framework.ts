/**
 * Hocuspocus on a route of Fastify, with its own provider.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import { Hocuspocus } from '@hocuspocus/server'
import type { Configuration } from '@hocuspocus/server'
import type { FastifyInstance } from 'fastify'
import { WebSocket } from 'ws'
import { deferred } from '../../lib/base/deferred.ts'
import { until } from '../helpers/server.ts'
import type { Closed } from '../helpers/server.ts'
import { checkFramework, FAULT, serve } from './checks.ts'
import type { Client, Framework } from './checks.ts'

function setUp (app: FastifyInstance, configuration: Partial<Configuration> = {}): void {
  const unloaded = deferred<void>()
  let closing = false
  const hocuspocus = new Hocuspocus({
    ...configuration,
    quiet: true,
    afterUnloadDocument: async () => { if (closing && hocuspocus.getDocumentsCount() === 0) unloaded.resolve() }
  })
  app.get('/collaboration', { websocket: true }, (socket, { host, url, headers }) => {
    const request = new Request(`http://${host}${url}`, { headers: headers as Record<string, string> })
    const client = hocuspocus.handleConnection(socket as never, request)
    socket.on('message', (data: Buffer) => { client.handleMessage(data) })
    socket.on('close', (code, reason) => { client.handleClose({ code, reason: reason.toString() }) })
  })
  // After the drain, and before whatever was registered before this closes: what the last clients wrote is stored.
  app.addHook('onClose', async () => {
    closing = true
    if (hocuspocus.getDocumentsCount() === 0) return
    hocuspocus.flushPendingStores()
    await unloaded.promise
  })
}

interface HocuspocusTestClient extends Client {
  provider: HocuspocusProvider
}

async function connect (t: TestContext, url: string): Promise<HocuspocusTestClient> {
  const ended = deferred<Closed>()
  const websocketProvider = new HocuspocusProviderWebsocket({
    url: `ws://${url}/collaboration`,
    WebSocketPolyfill: WebSocket,
    delay: 20,
    minDelay: 20,
    onClose: ({ event: { code, reason } }) => { ended.resolve({ code, reason }) }
  })
  const provider = new HocuspocusProvider({ websocketProvider, name: 'document' })
  provider.attach()
  const stop = () => {
    provider.destroy()
    websocketProvider.destroy()
  }
  t.after(stop)
  const works = async () => {
    await until(() => provider.isSynced, 'the document to be synchronised')
    provider.document.getMap('map').set('number', Math.random())
    await until(() => !provider.hasUnsyncedChanges, 'the change to arrive')
  }
  await works()
  return { provider, ended: ended.promise, works, provoke: () => { provider.sendStateless(FAULT) }, stop }
}

const framework: Framework = { route: '/collaboration', setUp, connect, comesBack: true }

checkFramework('Hocuspocus', framework)

test('Hocuspocus: what was written last is stored after the drain and before a plugin registered earlier closes', async (t) => {
  const stored: unknown[] = []
  const { url, events, close } = await serve(t, {
    ...framework,
    setUp: (app) => {
      setUp(app, {
        debounce: 60_000,
        maxDebounce: 60_000,
        onStoreDocument: async ({ document }) => {
          for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => { setImmediate(resolve) })
          stored.push(document.getMap('map').get('last'))
          events.push('stored')
        }
      })
    }
  })
  const { provider, stop } = await connect(t, url)
  provider.document.getMap('map').set('last', 'word')
  await until(() => !provider.hasUnsyncedChanges, 'the change to arrive')
  assert.deepEqual(stored, [])
  await close()
  assert.deepEqual(stored, ['word'])
  assert.ok(events.indexOf('stored') < events.indexOf('the first plugin has closed'), events.join(', '))
  stop()
})
