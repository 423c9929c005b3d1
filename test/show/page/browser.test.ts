/**
 * The page in Chromium: what it shows, loads and violates, by keyboard, in both themes, and how operators sign in.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import basicAuth from '@fastify/basic-auth'
import cookie from '@fastify/cookie'
import type { PageOptions } from '../../../lib/show/page/index.ts'
import page from '../../../lib/show/page/index.ts'
import type { LifecycleOptions } from '../../../lib/options/options.ts'
import { createFleet } from '../../../lib/testing/create-fleet.ts'
import { startPage } from '../../helpers/browser.ts'
import type { Page } from '../../helpers/browser.ts'
import { missing } from '../../helpers/optional.ts'
import { connect, portOf, start, until } from '../../helpers/server.ts'
import type { TestApp } from '../../helpers/server.ts'

const skip = missing('chromium')
/** Markup that would run, in a field of HTML, in an attribute, and in a script. */
const HOSTILE = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'

/** An app with the page below /ops, and WebSocket routes whose clients choose their tags and owners. */
function startApp (t: test.TestContext, options: (app: TestApp) => PageOptions | Promise<PageOptions>, more: LifecycleOptions = {}): Promise<TestApp> {
  return start(t, { owner: (request) => (request.query as { user?: string }).user, allowedOrigins: false, ...more }, async (app) => {
    app.get('/chat/:room', { websocket: true }, (socket, request) => { app.sockets.of(socket).tag((request.params as { room: string }).room) })
    await app.register(page, { prefix: '/ops', ...await options(app) })
  })
}

/** A page of Chromium, with what it has asked for and what its policy has kept from it. */
async function watch (t: test.TestContext): Promise<Page & { requests: string[], violations: string[] }> {
  const chromium = await startPage(t)
  const requests: string[] = []
  const violations: string[] = []
  chromium.on('Network.requestWillBeSent', ({ request }) => { requests.push((request as { url: string }).url) })
  chromium.on('Audits.issueAdded', ({ issue }) => { violations.push(JSON.stringify(issue)) })
  chromium.on('Log.entryAdded', ({ entry }) => { if ((entry as { source: string }).source === 'security') violations.push(JSON.stringify(entry)) })
  chromium.on('Runtime.exceptionThrown', (thrown) => { violations.push(JSON.stringify(thrown)) })
  for (const domain of ['Network', 'Audits', 'Log', 'Runtime']) await chromium.call(`${domain}.enable`)
  return Object.assign(chromium, { requests, violations })
}

const ask = (expression: string) => `new Promise((resolve) => { const timer = setInterval(() => { if (${expression}) { clearInterval(timer); resolve() } }, 10) })`
const textOf = (selector: string) => `document.querySelector('${selector}')?.textContent`

async function press (chromium: Page, key: string, code = key): Promise<void> {
  const text = key === 'Enter' ? '\r' : undefined
  const windowsVirtualKeyCode = { Tab: 9, Enter: 13, Escape: 27 }[code]
  await chromium.call('Input.dispatchKeyEvent', { type: 'keyDown', key, code, text, windowsVirtualKeyCode })
  await chromium.call('Input.dispatchKeyEvent', { type: 'keyUp', key, code, windowsVirtualKeyCode })
}

test('an operator signs in with a name and a password, and every view shows hostile text as text, without a violation or a foreign request', { skip }, async (t) => {
  const app = await startApp(t, async (app) => {
    await app.register(basicAuth, { authenticate: true, validate: (name, password, _request, _reply, done) => { done(name === 'ops' && password === 'secret' ? undefined : new Error('no')) } })
    return { onRequest: app.basicAuth, actions: ['disconnect', 'drain'] }
  }, { fleet: createFleet() })
  await connect(t, app, `/chat/${encodeURIComponent(HOSTILE)}?user=${encodeURIComponent(HOSTILE)}`)
  const gone = await connect(t, app, '/chat/a')
  await gone.close(4000, HOSTILE)
  await until(() => app.sockets.history.length === 1)
  const { id } = app.sockets.list()[0]!

  const chromium = await watch(t)
  let asked = 0
  chromium.on('Fetch.requestPaused', ({ requestId }) => { void chromium.call('Fetch.continueRequest', { requestId }).catch(() => {}) })
  chromium.on('Fetch.authRequired', ({ requestId }) => {
    asked++
    void chromium.call('Fetch.continueWithAuth', { requestId, authChallengeResponse: { response: 'ProvideCredentials', username: 'ops', password: 'secret' } }).catch(() => {})
  })
  await chromium.call('Fetch.enable', { handleAuthRequests: true })
  const origin = `http://127.0.0.1:${portOf(app)}`
  await chromium.goto(`${origin}/ops`)
  assert.ok(asked > 0)

  for (const query of ['', `?q=${encodeURIComponent(HOSTILE)}`, `?id=${id}`, '?view=history', `?view=history&code=${encodeURIComponent(HOSTILE)}`, '?view=routes', '?view=drain', '?view=nodes', '?view=fleet', `?view=fleet&owner=${encodeURIComponent(HOSTILE)}`]) {
    await chromium.goto(`${origin}/ops${query}`)
    assert.equal(await chromium.evaluate('Boolean(window.hacked || document.querySelector(\'main img, main script\'))'), false, query)
    if (!/routes|drain|code|nodes/.test(query)) assert.match(await chromium.evaluate(textOf('main')), /<img src=x/, query)
    // The script has run.
    await chromium.evaluate(ask('document.querySelector(\'[data-live=opened]\').textContent === \'2\''))
  }
  assert.deepEqual(chromium.violations, [])
  assert.deepEqual([...new Set(chromium.requests.map((url) => new URL(url).origin))], [origin])
})

test('an operator signs in with a session cookie; numbers and rows change by themselves, and the drain is shown to its end', { skip }, async (t) => {
  let release!: () => void
  let connected!: () => void
  /** The first stream opens later than the connection: the rows that the page came with are old then. */
  const firstConnection = new Promise<void>((resolve) => { connected = resolve })
  const app = await startApp(t, async (app) => {
    await app.register(cookie)
    app.get('/login', (_request, reply) => reply.setCookie('session', 'of ops', { httpOnly: true, sameSite: 'lax', path: '/' }).type('text/html').send('<!doctype html><title>-</title>signed in'))
    app.get('/work', { websocket: true }, (socket) => { void app.sockets.of(socket).track(new Promise<void>((resolve) => { release = resolve }), HOSTILE) })
    return {
      onRequest: async (request, reply) => {
        if (request.cookies.session !== 'of ops') return reply.redirect('/login')
        if (request.url.endsWith('part=live')) await firstConnection
      }
    }
  })
  const chromium = await watch(t)
  const address = `http://127.0.0.1:${portOf(app)}/ops`
  await chromium.goto(address)
  assert.equal(await chromium.evaluate('document.body.textContent.trim()'), 'signed in')
  await chromium.goto(address)
  assert.equal(await chromium.evaluate(textOf('h2')), 'Connections')

  await connect(t, app, `/work?user=${encodeURIComponent(HOSTILE)}`)
  connected()
  await chromium.evaluate(ask(`${textOf('[data-live=connections]')} === '1'`))
  await chromium.evaluate(ask(`${textOf('tbody')}.includes('<img')`))

  await chromium.goto(`${address}?view=drain`)
  assert.equal(await chromium.evaluate('document.querySelector(\'#progress\').hidden'), true)
  const drained = app.sockets.drain()
  await chromium.evaluate(ask(`${textOf('#held tbody')}.includes('<img')`))
  assert.equal(await chromium.evaluate('document.querySelector(\'#progress\').hidden'), false)
  assert.equal(await chromium.evaluate(textOf('[data-live=state]')), 'draining')
  release()
  await drained
  await chromium.evaluate(ask(`${textOf('[data-live=state]')} === 'drained'`))
  assert.equal(await chromium.evaluate('Boolean(window.hacked)'), false)
  assert.deepEqual(chromium.violations, [])
})

test('the page works by keyboard, on a phone, in both themes, and its tables without script', { skip }, async (t) => {
  const app = await startApp(t, () => ({ unprotected: true }), { fleet: createFleet() })
  for (let i = 0; i < 60; i++) await connect(t, app, `/chat/room-${i % 3}?user=user-${i}`)
  const chromium = await watch(t)
  const address = `http://127.0.0.1:${portOf(app)}/ops`

  // Tab by tab to the heading that sorts by owner, which the focus shows.
  await chromium.goto(address)
  const focused = () => chromium.evaluate<string>('document.activeElement.textContent')
  for (let tabs = 0; await focused() !== 'Owner'; tabs++) {
    assert.ok(tabs < 30, 'the heading cannot be reached')
    await press(chromium, 'Tab')
  }
  assert.equal(await chromium.evaluate('getComputedStyle(document.activeElement).outlineStyle'), 'solid')
  const loaded = new Promise<void>((resolve) => { chromium.on('Page.loadEventFired', () => { resolve() }) })
  await press(chromium, 'Enter')
  await loaded
  assert.equal(await chromium.evaluate('document.querySelector(\'[aria-sort]\').textContent + document.querySelectorAll(\'tbody tr\').length'), 'Owner50')

  const colours: string[] = []
  for (const theme of ['light', 'dark']) {
    await chromium.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: theme }] })
    const [ground, text, faint] = await chromium.evaluate<[string, string, string]>('[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color, getComputedStyle(document.querySelector(\'dt\')).color]')
    assert.ok(contrast(ground, text) >= 7, `${theme}: ${ground} ${text}`)
    assert.ok(contrast(ground, faint) >= 4.5, `${theme}: ${ground} ${faint}`)
    colours.push(ground)
  }
  assert.notEqual(colours[0], colours[1])

  await chromium.call('Emulation.setDeviceMetricsOverride', { width: 360, height: 640, deviceScaleFactor: 2, mobile: true })
  for (const query of ['', '?view=history', '?view=routes', '?view=drain', '?view=nodes', '?view=fleet', `?id=${app.sockets.list()[0]!.id}`]) {
    await chromium.goto(`${address}${query}`)
    assert.ok(await chromium.evaluate<number>('document.documentElement.scrollWidth') <= 360, query)
  }

  await chromium.call('Emulation.setScriptExecutionDisabled', { value: true })
  await chromium.goto(`${address}?q=room-1`)
  assert.equal(await chromium.evaluate('document.querySelectorAll(\'tbody tr\').length'), 20)
  assert.deepEqual(chromium.violations, [])
})

test('an act needs a confirmation, by keyboard too, and a page of another origin cannot act', { skip }, async (t) => {
  const app = await startApp(t, () => ({ unprotected: true, actions: ['disconnect', 'drain'] }))
  const audit: Array<{ outcome: string, why?: string }> = []
  app.sockets.on('audit', (act) => { audit.push(act) })
  const client = await connect(t, app, `/chat/a?user=${encodeURIComponent(HOSTILE)}`)
  const address = `http://127.0.0.1:${portOf(app)}/ops`
  const other = createServer((_request, response) => { response.setHeader('content-type', 'text/html').end('<!doctype html><title>-</title>') }).listen(0, '127.0.0.1')
  t.after(() => { other.close() })
  await once(other, 'listening')

  const chromium = await watch(t)
  await chromium.goto(`http://127.0.0.1:${(other.address() as AddressInfo).port}/`)
  const asked = `JSON.stringify({ action: 'disconnect', target: { id: ${app.sockets.list()[0]!.id} }, why: '' })`
  const headers = '{ "content-type": "application/json", "x-sockets-page": "disconnect" }'
  assert.equal(await chromium.evaluate(`fetch('${address}', { method: 'POST', headers: ${headers}, body: ${asked} }).then(() => 'sent', () => 'blocked')`), 'blocked')
  await chromium.evaluate(`fetch('${address}', { method: 'POST', mode: 'no-cors', credentials: 'include', body: ${asked} }).catch(() => {})`)
  await until(() => app.logs.some(({ res }) => (res as { statusCode: number } | undefined)?.statusCode === 403), 'the refused request')
  assert.equal(app.sockets.count({ state: 'open' }), 1)
  assert.deepEqual(audit, [])

  await chromium.goto(`${address}?id=${app.sockets.list()[0]!.id}`)
  chromium.violations.length = 0
  await chromium.evaluate('document.querySelectorAll(\'[data-act]\')[1].focus()')
  await press(chromium, 'Enter')
  assert.match(await chromium.evaluate(textOf('dialog[open] #what')), /every connection of “"><img/)
  await chromium.call('Input.insertText', { text: 'not sent: ' })
  await press(chromium, 'Escape')
  await chromium.evaluate(ask('!document.querySelector(\'dialog[open]\')'))
  await press(chromium, 'Enter')
  await chromium.call('Input.insertText', { text: 'spam' })
  for (const key of ['Tab', 'Tab', 'Enter']) await press(chromium, key)
  assert.equal((await client.closed).code, 3003)
  await chromium.evaluate(ask(`${textOf('#said')} === '1 closed.'`))
  assert.deepEqual(audit.map(({ outcome, why }) => [outcome, why]), [['done', 'spam']])
  assert.deepEqual(chromium.violations, [])
})

test('a hidden page has no stream, an error leaves the page as it is and says so, and an operator who is signed out signs in', { skip }, async (t) => {
  let status = 200
  const streams = new Set<ServerResponse>()
  const app = await startApp(t, (app) => {
    app.get('/login', (_request, reply) => reply.type('text/html').send('<!doctype html><title>-</title>sign in'))
    return {
      onRequest: async ({ url }, reply) => {
        if (status === 503) return reply.code(503).send({ message: 'busy' })
        if (status === 302) return reply.redirect('/login')
        if (!url.includes('part=live')) return
        streams.add(reply.raw)
        reply.raw.on('close', () => { streams.delete(reply.raw) })
      }
    }
  })
  const chromium = await watch(t)
  await chromium.goto(`http://127.0.0.1:${portOf(app)}/ops`)
  const turn = (hidden: boolean) => chromium.evaluate(`Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true }); document.dispatchEvent(new Event('visibilitychange'))`)
  // Waits less between requests.
  await chromium.evaluate('{ const { setTimeout } = window; window.setTimeout = (call, delay) => setTimeout(call, delay / 20) }')
  await until(() => streams.size === 1)
  await turn(true)
  await until(() => streams.size === 0)

  status = 503
  await turn(false)
  await chromium.evaluate(ask(`${textOf('#stale')} === 'The numbers are not live. The rows are not current.'`))
  assert.equal(await chromium.evaluate(textOf('h2')), 'Connections')
  status = 200
  await connect(t, app, '/chat/a')
  await chromium.evaluate(ask(`${textOf('#stale')} === '' && ${textOf('[data-live=connections]')} === '1' && document.querySelectorAll('tbody tr').length === 1`))
  await until(() => streams.size === 1)

  status = 302
  await turn(true)
  const loaded = new Promise<void>((resolve) => { chromium.on('Page.loadEventFired', () => { resolve() }) })
  await turn(false)
  await loaded
  assert.equal(await chromium.evaluate('document.body.textContent.trim()'), 'sign in')
})

/** Contrast of two colours (WCAG 2.2). */
function contrast (...colours: [string, string]): number {
  const [dark, light] = colours.map((colour) => {
    const [red, green, blue] = colour.match(/[\d.]+/g)!.map((part) => Number(part) / 255).map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4) as [number, number, number]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }).toSorted((a, b) => a - b) as [number, number]
  return (light + 0.05) / (dark + 0.05)
}
