/**
 * The page of a node of a fleet: nodes, connections of other nodes and their stories, acts on them, and nodes that do not answer.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { gzipSync } from 'node:zlib'
import type { LightMyRequestResponse } from 'fastify'
import type { FleetEngine } from '../../../lib/fleet/engine.ts'
import { MemoryFleet } from '../../../lib/fleet/memory-engine.ts'
import type { LifecycleOptions } from '../../../lib/options/options.ts'
import { assets } from '../../../lib/show/page/assets.ts'
import type { PageOptions } from '../../../lib/show/page/index.ts'
import page from '../../../lib/show/page/index.ts'
import { createClock } from '../../../lib/testing/clock.ts'
import { makeFaulty } from '../../helpers/fleet-rig.ts'
import type { FakeClock } from '../../helpers/fake-clock.ts'
import { connect, passUntil, start } from '../../helpers/server.ts'
import type { TestApp } from '../../helpers/server.ts'

const HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
/** Headers of an act, as the script of the page and a browser send them. */
const OWN = { 'content-type': 'application/json', 'x-sockets-page': 'disconnect', origin: 'http://localhost:80', host: 'localhost:80' }

/** Two nodes; the first has the page. */
async function setup (t: test.TestContext, pageOptions: PageOptions = { unprotected: true, actions: ['disconnect', 'drain'], by: () => 'ops' }) {
  const clock = createClock()
  const memory = new MemoryFleet(clock)
  const options: LifecycleOptions = { clock, heartbeat: false, owner: ({ query }) => (query as { user?: string }).user, allowedOrigins: false, history: { keep: ['owner'] } }
  const serve = async (engine = memory.engine()) => {
    return await start(t, { ...options, fleet: () => engine }, async (app) => {
      app.get('/chat/:room', { websocket: true }, (socket, request) => { app.sockets.of(socket).tag((request.params as { room: string }).room) })
      await app.register(page, { prefix: '/ops', ...pageOptions })
    })
  }
  const a = await serve()
  const faulty = makeFaulty(memory.engine(), clock as unknown as FakeClock)
  const b = await serve(faulty.engine)
  const nodes = [a.sockets.fleet.node, b.sockets.fleet.node] as const
  await passUntil(clock, () => a.sockets.fleet.nodes.length === 2)
  /** Waits for an answer; returns it, and the time that has passed. */
  const within = async (asked: Promise<LightMyRequestResponse>) => {
    let answer: LightMyRequestResponse | undefined
    const from = clock.now()
    void asked.then((response) => { answer = response })
    await passUntil(clock, () => answer !== undefined)
    return { answer: answer!, took: clock.now() - from }
  }
  const view = async (query = '', app: TestApp = a) => {
    const { answer, took } = await within(app.inject(`/ops${query}`))
    assert.equal(answer.statusCode, 200)
    return { body: answer.body, took }
  }
  const act = async (payload: object, headers: Record<string, string> = OWN) => {
    const { answer, took } = await within(a.inject({ method: 'POST', url: '/ops', payload: JSON.stringify({ why: '', ...payload }), headers }))
    return { status: answer.statusCode, message: (answer.json() as { message: string }).message, took }
  }
  const freeze = () => { Object.assign(faulty, { fault: 'hang', deaf: true }) }
  return { clock, a, b, nodes, faulty, view, act, freeze }
}

const nav = (body: string) => [...(/<nav>(.*)<\/nav>/s.exec(body)![1]!).matchAll(/>([^<]+)<\/a>/g)].map(([, name]) => name)
const link = (body: string, text: string) => new RegExp(`<a [^>]*href="([^"]*)"[^>]*>${text}</a>`).exec(body)![1]!.replaceAll('&amp;', '&')

test('without a fleet there is none on the page, and its queries show connections', async (t) => {
  const app = await start(t, {}, (app) => app.register(page, { prefix: '/ops', unprotected: true }))
  for (const query of ['', '?view=nodes', '?view=fleet', '?view=history&owner=ada', '?view=drain', '?node=a&id=1']) {
    const { body } = await app.inject(`/ops${query}`)
    assert.deepEqual(nav(body), ['Connections', 'History', 'Routes', 'Drain'], query)
    assert.doesNotMatch(body, /fleet|all servers|On other/i, query)
  }
  const answer = await app.inject({ method: 'POST', url: '/ops', payload: '{"action":"disconnect","target":{"node":"a","id":1},"why":""}', headers: OWN })
  assert.equal(answer.statusCode, 400)
})

test('nodes are shown with what they have, what they take, and who leaves', async (t) => {
  const { clock, a, b, nodes, view } = await setup(t)
  await connect(t, a, '/chat/a')
  for (let i = 0; i < 3; i++) await connect(t, b, '/chat/a')
  await clock.tick(2_000)
  const { body } = await view('?view=nodes&sort=connections')
  assert.deepEqual(nav(body), ['Connections', 'All servers', 'Nodes', 'History', 'Routes', 'Drain'])
  const rows = [...body.matchAll(/<tr><td>(.*?)<\/td><\/tr>/gs)].map(([, row]) => row!.replaceAll(/<[^>]*>/g, '|').replace(/\d+\/s/, 'n/s').split(/\|+/))
  assert.deepEqual(rows.map(([, node, ...rest]) => [node, ...rest.slice(0, rest.indexOf('yes') + 1)]), [
    [nodes[1], 'running', '3', '3', 'n/s', 'yes'],
    [nodes[0], ' (this server)', 'running', '1', '1', 'n/s', 'yes']
  ])
  assert.match(body, /<dt>Connections<\/dt><dd>4<\/dd>/)
  assert.match(body, /<dt>Arrivals booked<\/dt><dd>0\/s of \d+\/s/)
  assert.match(body, /data-live="nodes">2</)
  // It is seen while it leaves.
  const held = b.sockets.list()[0]!
  void held.track(new Promise<void>((resolve) => { clock.setTimeout(resolve, 4_000) }))
  const drained = b.sockets.drain()
  await clock.tick(2_500)
  const leaving = (await view('?view=nodes')).body
  assert.match(leaving, /data-live="nodes">2, 1 leaving</)
  assert.match(leaving, /<span class="state draining">draining<\/span>/)
  assert.match((await view('?view=drain')).body, new RegExp(`<h3>Nodes that leave</h3>\\s*<dl class="facts"><dt>${nodes[1]}</dt>`))
  await passUntil(clock, () => b.sockets.state === 'drained')
  await drained
})

test('turns that this node has booked are on the timeline of its plan', async (t) => {
  const { clock, a, view } = await setup(t)
  for (let i = 0; i < 40; i++) await connect(t, a, '/chat/a')
  assert.doesNotMatch((await view('?view=drain')).body, /class="booked"/)
  for (const connection of a.sockets.list()) void connection.track(new Promise<void>((resolve) => { clock.setTimeout(resolve, 4_000) }))
  const drained = a.sockets.drain()
  await passUntil(clock, () => a.sockets.fleet.nodes.some(({ booked }) => booked !== null))
  assert.match((await view('?view=drain')).body, /<rect class="booked" x="\d+" width="\d+" y="30" height="10"><title>booked: \d+ clients, \d+\/s, within \d/)
  await passUntil(clock, () => a.sockets.state === 'drained')
  await drained
})

test('connections of all servers are searched, and 50 are shown at a time', async (t) => {
  const { a, b, nodes, view } = await setup(t)
  await connect(t, a, '/chat/lobby?user=ada')
  for (let i = 0; i < 60; i++) await connect(t, b, `/chat/${i < 30 ? 'lobby' : 'cellar'}?user=${i % 2 === 0 ? 'ada' : 'bob'}`)
  const rows = (body: string) => [...body.matchAll(/<tr><td>([^<]*)<\/td><td><a href="\?node=([^"&]*)&amp;id=(\d+)">\3<\/a>/g)]
  const count = async (query: string) => rows((await view(`?view=fleet${query}`)).body).length
  assert.equal(await count('&owner=ada'), 31)
  assert.equal(await count('&owner=ada&tag=lobby'), 16)
  assert.equal(await count('&route=/chat/:room&state=open&tag=cellar'), 30)
  assert.equal(await count(`&node=${nodes[0]}`), 1)
  assert.equal(await count('&owner=eve'), 0)
  assert.equal(await count('&state=nonsense&owner=bob'), 30)
  const first = (await view('?view=fleet')).body
  const second = (await view(link(first, 'Next'))).body
  assert.deepEqual([rows(first).length, rows(second).length], [50, 11])
  assert.equal(new Set([...rows(first), ...rows(second)].map(([, , node, id]) => `${node} ${id}`)).size, 61)
  assert.doesNotMatch(second, />Next</)
  assert.equal(rows((await view(link(second, 'First'))).body).length, 50)
  assert.match((await view('?view=fleet&after=nonsense')).body, /Not shown: .*after/)
})

test('a connection of another node is shown with its story, open and closed, and this node shows its own', async (t) => {
  const { clock, a, b, nodes, view } = await setup(t)
  const client = await connect(t, b, '/chat/lobby?user=ada')
  const here = await connect(t, a, '/chat/lobby')
  const [{ id }, own] = [b.sockets.list()[0]!, a.sockets.list()[0]!]
  const open = (await view(`?node=${nodes[1]}&id=${id}`)).body
  for (const text of ['<h2>Connection ', 'lobby', '<a href="?view=fleet&amp;owner=ada">', '<b>opened</b>', `data-target="{&quot;node&quot;:&quot;${nodes[1]}&quot;,&quot;id&quot;:${id}}"`, ', on all servers?']) assert.ok(open.includes(text), text)
  assert.match((await view(`?node=${nodes[0]}&id=${own.id}`)).body, new RegExp(`<h2>Connection ${own.id}</h2>`))
  await client.close(4001)
  await passUntil(clock, () => b.sockets.size === 0)
  const closed = (await view(`?node=${nodes[1]}&id=${id}`)).body
  assert.match(closed, /<b>closing<\/b> client, code 4001/)
  assert.doesNotMatch(closed, /data-act/)
  assert.match((await view(`?node=${nodes[1]}&id=999999999`)).body, /Neither an open connection/)
  assert.match((await view(`?node=${nodes[1]}&id=x`)).body, /Neither an open connection/)
  assert.match((await view('?node=unknown&id=1')).body, /Not answered: unknown \(lost\)/)
  await here.close()
})

test('the history of an owner has what the other servers know', async (t) => {
  const { a, b, nodes, view } = await setup(t)
  await connect(t, a, '/chat/a?user=ada')
  await connect(t, b, '/chat/a?user=ada')
  const { body } = await view('?view=history&owner=ada')
  const [, elsewhere] = body.split('<h3>On other servers</h3>')
  assert.equal([...elsewhere!.matchAll(/<a href="\?node=([^"&]*)&amp;id=\d+">/g)].map(([, node]) => node).join(), nodes[1])
  assert.match((await view('?view=history&owner=eve')).body, /On other servers<\/h3>\s*<p>None<\/p>/)
  assert.doesNotMatch((await view('?view=history')).body, /On other servers/)
})

test('connections of other nodes are closed by id, all of an owner everywhere, and the audit has it', async (t) => {
  const { a, b, nodes, act } = await setup(t)
  const audit: object[] = []
  a.sockets.on('audit', ({ at, ...told }) => { audit.push(told) })
  const clients = [await connect(t, b, '/chat/a?user=ada'), await connect(t, b, '/chat/a?user=ada'), await connect(t, a, '/chat/a?user=ada'), await connect(t, b, '/chat/a?user=bob')] as const
  const target = { node: nodes[1], id: b.sockets.list()[0]!.id }
  const { status, message } = await act({ action: 'disconnect', target, why: 'spam' })
  assert.deepEqual([status, message], [200, '1 closed.'])
  assert.equal((await clients[0].closed).code, 3003)
  assert.equal((await act({ action: 'disconnect', target: { owner: 'ada' } })).message, '2 closed.')
  await Promise.all([clients[1].closed, clients[2].closed])
  assert.equal((await act({ action: 'disconnect', target })).message, 'There is no such connection any more.')
  const done = { action: 'disconnect', by: 'ops', outcome: 'done' }
  assert.deepEqual(audit, [{ ...done, why: 'spam', target, connections: 1 }, { ...done, target: { owner: 'ada' }, connections: 2 }, { ...done, target, connections: 0 }])
  assert.equal(b.sockets.size, 1)
})

test('an act on another node is refused as one on this node', async (t) => {
  const { a, b, nodes, act } = await setup(t, { unprotected: true, actions: [] })
  const audit: string[] = []
  a.sockets.on('audit', ({ outcome }) => { audit.push(outcome) })
  await connect(t, b, '/chat/a')
  const target = { node: nodes[1], id: b.sockets.list()[0]!.id }
  assert.equal((await act({ action: 'disconnect', target })).status, 403)
  assert.equal((await act({ action: 'disconnect', target }, { ...OWN, origin: 'https://evil.example' })).status, 403)
  assert.deepEqual([audit, b.sockets.size], [['refused', 'refused'], 1])
  for (const wrong of [{ node: 7, id: 1 }, { node: nodes[1] }, { node: nodes[1], id: '1' }, { node: nodes[1], owner: 'ada' }, { id: '1', owner: 'ada' }]) assert.equal((await act({ action: 'disconnect', target: wrong })).status, 400)
})

test('a frozen node costs a view 300 ms at most and is named, and closes its connections when it is back', async (t) => {
  const { clock, b, nodes, faulty, view, act, freeze } = await setup(t)
  const client = await connect(t, b, '/chat/a?user=ada')
  const { id } = b.sockets.list()[0]!
  freeze()
  for (const query of ['?view=nodes', '?view=fleet', '?view=history&owner=ada', `?node=${nodes[1]}&id=${id}`]) {
    const { body, took } = await view(query)
    assert.ok(took <= 300, `${query}: ${took}`)
    assert.match(body, new RegExp(`Not answered: ${nodes[1]} \\(silent, last seen`), query)
  }
  assert.match((await view('?view=nodes')).body, /<b>silent<\/b>/)
  for (const query of ['', '?view=routes', '?view=drain', '?view=history']) assert.ok((await view(query)).took < 250, query)
  const { status, message, took } = await act({ action: 'disconnect', target: { node: nodes[1], id } })
  assert.deepEqual([status, took <= 300], [202, true])
  assert.match(message, new RegExp(`^0 closed\\. Not answered: ${nodes[1]} \\(silent, .*\\)\\. They close theirs when they are back\\.$`))
  Object.assign(faulty, { fault: 'none', deaf: false })
  await passUntil(clock, () => b.sockets.size === 0)
  assert.equal((await client.closed).code, 3003)
})

test('while the engine does not answer the page says so, and shows what this node has', async (t) => {
  const { clock, a, b, nodes, faulty, view } = await setup(t)
  await connect(t, b, '/chat/a?user=ada')
  const { id } = b.sockets.list()[0]!
  faulty.fault = 'refuse'
  await passUntil(clock, () => b.sockets.fleet.state === 'down')
  for (const query of ['?view=nodes', '?view=fleet', '?view=history&owner=ada', `?node=${nodes[0]}&id=1`]) {
    assert.match((await view(query, b)).body, /Not shown: /, query)
  }
  const { body } = await view('?view=nodes', b)
  assert.match(body, /data-live="nodes">2, no engine</)
  assert.match(body, /<dt>Engine<\/dt><dd>down<\/dd>/)
  assert.match((await view('', b)).body, new RegExp(`<a href="\\?id=${id}">`))
  const answer = b.inject({ method: 'POST', url: '/ops', payload: JSON.stringify({ action: 'disconnect', target: { owner: 'ada' }, why: '' }), headers: OWN })
  let status = 0
  void answer.then(({ statusCode }) => { status = statusCode })
  await passUntil(clock, () => status > 0)
  assert.deepEqual([status, b.sockets.size, a.sockets.size], [503, 1, 0])
  assert.match((await answer).json<{ message: string }>().message, /^No server has confirmed it: /)
  faulty.fault = 'none'
  await passUntil(clock, () => b.sockets.fleet.state === 'up')
})

test('what other nodes and their clients have chosen is shown as text, or left out', async (t) => {
  const { b, nodes, view, faulty } = await setup(t)
  await connect(t, b, `/chat/${encodeURIComponent(HOSTILE)}?user=${encodeURIComponent(HOSTILE)}`)
  const { id } = b.sockets.list()[0]!
  const owner = encodeURIComponent(HOSTILE)
  for (const query of ['?view=fleet', `?view=fleet&owner=${owner}&node=${nodes[1]}&after=${owner}`, `?view=history&owner=${owner}`, `?node=${nodes[1]}&id=${id}`, `?node=${owner}&id=1`]) {
    const { body } = await view(query)
    assert.doesNotMatch(body, /<script>|<img/, query)
    assert.match(body, /&lt;script&gt;/, query)
  }
  // A node whose stories have another form.
  const { send } = Object.getPrototypeOf(faulty.engine) as FleetEngine
  Object.assign(faulty.engine, {
    send (to: readonly string[], message: string) {
      return send.call(this, to, message.replace(/"events":\[.*?\],"summary":"[^"]*"/, '"events":[null],"summary":"<b>"').replace(/"openedAt":\d+/, '"openedAt":9e99'))
    }
  })
  const { body } = await view(`?node=${nodes[1]}&id=${id}`)
  assert.match(body, /The story cannot be read/)
  assert.match(body, /never \(open for/)
})

test('a full view of the fleet with the script and the style has at most 12 KB', async (t) => {
  const { b, view } = await setup(t)
  for (let i = 0; i < 60; i++) await connect(t, b, `/chat/room-${i * 7919}?user=user-${i * 104729}`)
  const sizes = [(await view('?view=fleet')).body, assets.script.text(), assets.style.text()].map((text) => gzipSync(text).length)
  assert.ok(sizes.reduce((sum, size) => sum + size) <= 12 * 1_024, sizes.join(' + '))
})
