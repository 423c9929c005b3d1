/**
 * A real browser on a page: of an app of ours, which hears of the end of its WebSocket, or of any server, to look into.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { run } from './child.ts'
import { locate } from './optional.ts'
import { portOf } from './server.ts'
import type { TestApp } from './server.ts'

/** What the page's CloseEvent says. */
export interface Seen { code: number, reason: string, wasClean: boolean }

/** Routes for `browse`: a page at '/' that opens a WebSocket to '/socket' and tells how it ended; resolves with that. */
export function servePage (app: TestApp): Promise<Seen> {
  return new Promise((resolve) => {
    app.get('/socket', { websocket: true }, () => {})
    app.post('/report', (request) => {
      resolve(request.body as Seen)
      return 'thank you'
    })
    app.get('/', (_request, reply) => reply.type('text/html').send(`<!doctype html><script>
      new WebSocket('ws://' + location.host + '/socket').onclose = ({ code, reason, wasClean }) => fetch('/report', {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ code, reason, wasClean })
      })
    </script>`))
  })
}

/** Opens the page of the app in Chromium, which ends with the test. */
export async function browse (t: TestContext, app: TestApp): Promise<void> {
  await startChromium(t, `http://127.0.0.1:${portOf(app)}/`)
}

/** A page in Chromium. */
export interface Page {
  /** The value of an expression in the page; a promise is awaited. */
  evaluate<T> (expression: string): Promise<T>
  /** Opens an address; resolves when it has loaded. */
  goto (url: string): Promise<void>
  /** Does something in the page; resolves when the address to which it leads has loaded. */
  leave (expression: string): Promise<void>
  /** Calls a method of the Chrome DevTools Protocol. */
  call<T = unknown> (method: string, params?: object): Promise<T>
  /** Calls a listener at each event of the protocol with this name. */
  on (method: string, listener: (params: Record<string, unknown>) => void): void
}

/** Opens a page in Chromium, which ends with the test. Resolves when the page has loaded. */
export async function openPage (t: TestContext, url: string): Promise<Page> {
  const page = await startPage(t)
  await page.goto(url)
  return page
}

/** An empty page in Chromium, which ends with the test. */
export async function startPage (t: TestContext): Promise<Page> {
  const chromium = await startChromium(t, 'about:blank')
  let output = ''
  chromium.stderr.on('data', (chunk: Buffer) => { output += chunk.toString() })
  while (!/DevTools listening on ws:\S+\n/.test(output)) await once(chromium.stderr, 'data')
  const host = /DevTools listening on ws:\/\/([^/]+)/.exec(output)![1]!
  const targets = await (await fetch(`http://${host}/json/list`)).json() as Array<{ type: string, webSocketDebuggerUrl: string }>
  const socket = new WebSocket(targets.find(({ type }) => type === 'page')!.webSocketDebuggerUrl)
  t.after(() => { socket.terminate() })
  await once(socket, 'open')

  // The Chrome DevTools Protocol: a call is one message, its answer another, matched by number; events have a method.
  let calls = 0
  const send = (method: string, params: object = {}) => {
    const id = ++calls
    socket.send(JSON.stringify({ id, method, params }))
    return received((message) => message.id === id)
  }
  const received = (matches: (message: Message) => boolean) => new Promise<Message>((resolve) => {
    socket.on('message', function look (data: Buffer) {
      const message = JSON.parse(data.toString()) as Message
      if (!matches(message)) return
      socket.off('message', look)
      resolve(message)
    })
  })
  const call: Page['call'] = async (method, params) => {
    const { error, result } = await send(method, params)
    assert.equal(error, undefined, method)
    return result as never
  }
  const evaluate: Page['evaluate'] = async (expression) => {
    const { result, exceptionDetails } = await call<{ result: { value: unknown }, exceptionDetails?: unknown }>('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    assert.equal(exceptionDetails, undefined)
    return result.value as never
  }
  const loadedBy = async (act: () => Promise<unknown>) => {
    const loaded = received(({ method }) => method === 'Page.loadEventFired')
    await act()
    await loaded
  }
  await call('Page.enable')
  return {
    evaluate,
    call,
    goto: (url) => loadedBy(() => call('Page.navigate', { url })),
    leave: (expression) => loadedBy(() => evaluate(`void (${expression})`)),
    on (event, listener) {
      socket.on('message', (data: Buffer) => {
        const { method, params } = JSON.parse(data.toString()) as Message
        if (method === event) listener(params!)
      })
    }
  }
}

interface Message {
  id?: number
  method?: string
  params?: Record<string, unknown>
  error?: unknown
  result?: unknown
}

async function startChromium (t: TestContext, url: string) {
  const profile = await mkdtemp(join(tmpdir(), 'chromium-'))
  t.after(() => rm(profile, { recursive: true, force: true, maxRetries: 10 }))
  return run(t, locate('chromium')!, [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--remote-debugging-port=0', `--user-data-dir=${profile}`,
    url
  ])
}
