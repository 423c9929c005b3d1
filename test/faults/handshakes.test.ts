/**
 * Handshakes that meet a drain: hooks that never answer, hooks that answer late, upgrades in every phase. Each ends,
 * with TCP, and none is let in after the frames have gone out.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { Duplex } from 'node:stream'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Refusal } from '../../lib/index.ts'
import { deferred } from '../../lib/base/deferred.ts'
import { echo } from '../helpers/routes.ts'
import {
  assertBounded, assertClean, connect, handshake, logged, maskedFrame, Opcode, rawConnect, rawHandshake, rawTcp, reportOf, start, until
} from '../helpers/server.ts'
import type { TestApp } from '../helpers/server.ts'

/** Everything here is to end by itself long before. */
const PATIENT = { closeTimeout: 60_000, drain: { timeout: 90_000 } }
/** For drains whose settling app.close() cuts short. */
const SETTLING = { drain: { terminationGracePeriod: 60_000, settleDelay: 30_000 } }

const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const

for (const hook of HOOKS) {
  test(`a handshake whose ${hook} hook never answers gets 503, and holds nothing up`, async (t) => {
    const { promise: asked, resolve: ask } = deferred<void>()
    const app = await start(t, PATIENT, (app) => {
      echo(app)
      app.get('/hangs', { websocket: true, [hook]: () => { ask(); return new Promise(() => {}) } }, () => {})
    })
    const open = await connect(t, app, '/')
    const hanging = await rawHandshake(t, app, '/hangs')
    await asked
    await app.close()
    assert.equal((await hanging.answer).status, 503)
    assert.equal((await open.closed).code, 1012)
    const report = reportOf(app)
    assertBounded(report)
    assert.equal(report.connections.total, 1)
    assert.equal(report.refused, 1)
    await assertClean(app)
  })
}

test('a handshake whose hook never answers does not hold up a server without connections', async (t) => {
  const { promise: asked, resolve: ask } = deferred<void>()
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true, preHandler: () => { ask(); return new Promise(() => {}) } }, () => {})
  })
  const hanging = await rawHandshake(t, app, '/')
  await asked
  await app.close()
  const { status, headers } = await hanging.answer
  assert.equal(status, 503)
  assert.equal(headers.get('connection'), 'close')
  assert.ok(Number(headers.get('retry-after')) >= 1)
  await hanging.ended
  assert.equal(reportOf(app).refused, 1)
})

test('five hundred handshakes whose hooks never answer all get 503', async (t) => {
  let asked = 0
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true, preHandler: () => { asked++; return new Promise(() => {}) } }, () => {})
  }, { fastify: { logger: false } })
  const hanging = await Promise.all(Array.from({ length: 500 }, () => rawHandshake(t, app, '/')))
  await until(() => asked === 500)
  await app.close()
  for (const peer of hanging) assert.equal((await peer.answer).status, 503)
  assert.equal(reportOf(app).refused, 500)
})

test('a client that goes away while its hook never answers leaves nothing behind', async (t) => {
  let asked = 0
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true, preHandler: () => { asked++; return new Promise(() => {}) } }, () => {})
  })
  const peers = await Promise.all(Array.from({ length: 3 }, () => rawHandshake(t, app, '/')))
  await until(() => asked === 3)
  peers[0]!.destroy()
  peers[1]!.reset()
  await until(async () => true)
  await app.close()
  peers[2]!.destroy()
  assert.equal(reportOf(app).connections.total, 0)
})

for (const hook of HOOKS) {
  test(`a handshake whose ${hook} hook says yes after the frames went out is refused with 503`, async (t) => {
    const { promise, resolve: sayYes } = deferred<void>()
    let asked = false
    let handled = 0
    const app = await start(t, PATIENT, (app) => {
      app.get('/work', { websocket: true }, (socket) => { void app.sockets.of(socket).track(promise) })
      app.get('/', { websocket: true, [hook]: async () => { asked = true; await promise } }, () => { handled++ })
    })
    // Work in flight keeps the drain in grace until the hook has answered.
    const working = await connect(t, app, '/work')
    const late = await rawHandshake(t, app, '/')
    await until(() => asked)
    const closing = app.close()
    await until(() => !app.sockets.accepting)
    sayYes()
    assert.equal((await late.answer).status, 503)
    await late.ended
    await closing
    assert.equal((await working.closed).code, 1012)
    assert.equal(handled, 0)
    const report = reportOf(app)
    assert.equal(report.connections.total, 1)
    assert.equal(report.refused, 1)
    assertBounded(report)
  })
}

test('a handshake whose hook says yes while the drain settles is let in, and closed with the others', async (t) => {
  const { promise, resolve: sayYes } = deferred<void>()
  let asked = false
  const app = await start(t, SETTLING, (app) => {
    app.get('/', { websocket: true, preHandler: async () => { asked = true; await promise } }, (socket) => { socket.send('welcome') })
  })
  const connecting = connect(t, app, '/')
  await until(() => asked)
  const draining = app.sockets.drain()
  sayYes()
  const client = await connecting
  assert.equal(await client.next(), 'welcome')
  await app.close()
  const report = await draining
  assert.equal((await client.closed).code, 1012)
  assert.equal(report.connections.total, 1)
  assert.equal(report.connections.clean, 1)
})

test('a handshake whose hook answers long after the drain does no harm', async (t) => {
  const { promise, resolve: sayYes } = deferred<void>()
  let asked = false
  const app = await start(t, PATIENT, (app) => {
    app.get('/yes', { websocket: true, preHandler: async () => { asked = true; await promise } }, () => { assert.fail('handled') })
    app.get('/no', {
      websocket: true,
      preHandler: async (_request: FastifyRequest, reply: FastifyReply) => { await promise; return reply.code(401).send() }
    }, () => {})
    app.get('/throws', { websocket: true, preHandler: async () => { await promise; throw new Error('late') } }, () => {})
  })
  const late = await Promise.all(['/no', '/throws', '/yes'].map((path) => rawHandshake(t, app, path)))
  await until(() => asked)
  await app.close()
  for (const { answer } of late) assert.equal((await answer).status, 503)
  sayYes()
  await new Promise((resolve) => { setTimeout(resolve, 20) })
  await assertClean(app)
})

test('a hook that refuses during the drain is heard, and TCP is closed', async (t) => {
  const { promise, resolve: sayNo } = deferred<void>()
  let asked = false
  const app = await start(t, PATIENT, (app) => {
    app.get('/work', { websocket: true }, (socket) => { void app.sockets.of(socket).track(promise) })
    app.get('/', {
      websocket: true,
      preHandler: async (_request: FastifyRequest, reply: FastifyReply) => { asked = true; await promise; return reply.code(401).send() }
    }, () => {})
  })
  await connect(t, app, '/work')
  const refused = await rawHandshake(t, app, '/')
  await until(() => asked)
  const closing = app.close()
  await until(() => !app.sockets.accepting)
  sayNo()
  assert.equal((await refused.answer).status, 401)
  await refused.ended
  await closing
  assertBounded(reportOf(app))
})

for (const how of ['rejects', 'replies'] as const) {
  test(`a hook registered before the plugin that ${how} leaks no TCP connection`, async (t) => {
    const app = await start(t, PATIENT, echo, {
      before: (app) => {
        app.addHook('onRequest', async (_request, reply) => {
          if (how === 'rejects') throw Object.assign(new Error('no'), { statusCode: 403 })
          return reply.code(403).send('no')
        })
      }
    })
    const peer = await rawHandshake(t, app, '/')
    assert.equal((await peer.answer).status, 403)
    await app.close()
    await peer.ended
    await assertClean(app)
  })
}

test('a verifyClient that never answers is ended with the drain', async (t) => {
  const { promise: asked, resolve: ask } = deferred<void>()
  const app = await start(t, { ...PATIENT, options: { verifyClient: (_info, _callback) => { ask() } } }, echo)
  const peer = await rawHandshake(t, app, '/')
  await asked
  await app.close()
  await peer.ended
  assertBounded(reportOf(app))
})

test('a verifyClient that says yes in the drain gets its client closed with the code of the drain, or refused', async (t) => {
  const { promise: asked, resolve: ask } = deferred<(yes: boolean) => void>()
  const { promise: work, resolve: finish } = deferred<void>()
  let first = true
  const app = await start(t, {
    ...PATIENT,
    options: { verifyClient: (_info, callback) => { if (first) { first = false; callback(true) /* eslint-disable-line n/no-callback-literal -- ws calls it so */ } else ask(callback) } }
  }, (app) => {
    app.get('/', { websocket: true }, (socket) => { void app.sockets.of(socket).track(work) })
  })
  const working = await connect(t, app, '/')
  const late = await rawHandshake(t, app, '/')
  const sayYes = await asked
  const closing = app.close()
  await until(() => !app.sockets.accepting)
  sayYes(true)
  const { status } = await late.answer
  finish()
  if (status === 101) {
    assert.equal((await late.closeFrame()).code, 1012)
    late.sendClose(1012)
  } else {
    assert.equal(status, 503)
  }
  late.end()
  await closing
  assert.equal((await working.closed).code, 1012)
  const report = reportOf(app)
  assertBounded(report)
  assert.equal(report.connections.total, status === 101 ? 2 : 1)
})

// ——— upgrades in every phase

test('an upgrade while the drain settles is served, and closed with the others', async (t) => {
  const app = await start(t, SETTLING, echo)
  await connect(t, app, '/')
  const draining = app.sockets.drain()
  const late = await connect(t, app, '/')
  late.socket.send('x')
  assert.equal(await late.next(), 'x')
  await app.close()
  const report = await draining
  assert.equal((await late.closed).code, 1012)
  assert.equal(report.connections.total, 2)
  assert.equal(report.connections.clean, 2)
  assert.equal(report.refused, 0)
})

for (const phase of ['notify', 'grace', 'close', 'cleanup'] as const) {
  test(`an upgrade in phase ${phase} gets 503 with Retry-After, and its TCP connection is closed`, async (t) => {
    const { promise, resolve: finish } = deferred<void>()
    const refusals: Refusal[] = []
    let hooks = 0
    const app = await start(t, { drain: { timeout: 5_000 }, closeTimeout: 1_500, ...(phase === 'notify' ? { onDrain: () => promise } : {}) }, (app) => {
      app.sockets.on('refused', (refusal) => { refusals.push(refusal) })
      app.get('/', { websocket: true }, (socket) => {
        const connection = app.sockets.of(socket)
        if (phase === 'grace') void connection.track(promise)
        if (phase === 'cleanup') connection.defer(() => promise)
      })
      app.get('/late', { websocket: true, onRequest: async () => { hooks++ } }, () => {})
    })
    const client = await rawConnect(t, app, '/')
    // On app.close() the listener is gone at once; on a bare drain it is not.
    const draining = app.sockets.drain()
    if (phase === 'close' || phase === 'cleanup') await client.closeFrame()
    if (phase === 'cleanup') {
      client.sendClose(1012)
      client.end()
      await until(() => app.sockets.list()[0]?.state === 'closing')
    }
    const late = await rawHandshake(t, app, '/late?token=secret')
    const { status, headers } = await late.answer
    assert.equal(status, 503)
    assert.equal(headers.get('retry-after'), '1')
    assert.equal(headers.get('connection'), 'close')
    await late.ended
    finish()
    if (phase === 'notify' || phase === 'grace') await client.closeFrame()
    if (phase !== 'cleanup') client.sendClose(1012)
    client.end()
    await draining
    assert.equal(hooks, 0)
    assert.deepEqual(refusals.map(({ reason, path }) => [reason, path]), [['draining', '/late']])
    const report = reportOf(app)
    assert.equal(report.refused, 1)
    assert.equal(report.connections.total, 1)
    assert.equal(report.connections.clean, 1)
    assertBounded(report)
  })
}

test('an upgrade after a bare drain() gets 503, and so does one after another', async (t) => {
  const app = await start(t, PATIENT, echo)
  await app.sockets.drain()
  assert.equal(app.server.listening, true)
  for (let i = 0; i < 3; i++) {
    await assert.rejects(connect(t, app, '/'), { status: 503 })
  }
  assert.deepEqual(app.sockets.stats().refused, { draining: 3 })
  await assertClean(app)
})

test('an upgrade after the close is refused by the kernel', async (t) => {
  const app = await start(t, PATIENT, echo)
  const { port } = app.server.address() as { port: number }
  await app.close()
  const { default: net } = await import('node:net')
  const [error] = await once(net.connect(port, '127.0.0.1'), 'error') as [Error & { code: string }]
  assert.equal(error.code, 'ECONNREFUSED')
})

test('upgrades that never stop coming do not keep the drain from ending', async (t) => {
  const { promise, resolve: finish } = deferred<void>()
  const app = await start(t, { drain: { timeout: 1_000 } }, (app) => {
    app.get('/', { websocket: true }, (socket) => { socket.on('message', () => promise) })
  })
  const busy = await connect(t, app, '/')
  busy.socket.send('job')
  await until(() => app.sockets.stats().working === 1)
  const storm = { over: false }
  const statuses = new Set<unknown>()
  const rage = async () => {
    while (!storm.over) {
      // After the listener has closed: ECONNREFUSED or ECONNRESET.
      await connect(t, app, '/').catch((error: Error & { status?: number, code?: string }) => { statuses.add(error.status ?? error.code) })
    }
  }
  const storms = Array.from({ length: 8 }, rage)
  const report = await app.sockets.drain()
  finish()
  storm.over = true
  await Promise.all(storms)
  assertBounded(report)
  assert.ok(report.refused > 0)
  assert.deepEqual([...statuses], [503])
  assert.equal((await busy.closed).code, 1012)
})

test('an upgrade on a connection that was kept alive for HTTP is refused like any other', async (t) => {
  const { promise, resolve: finish } = deferred<void>()
  const app = await start(t, PATIENT, (app) => {
    app.get('/work', { websocket: true }, (socket) => { void app.sockets.of(socket).track(promise) })
    echo(app)
    app.get('/http', async () => 'fine')
  })
  const working = await connect(t, app, '/work')
  const peer = await rawTcp(t, app)
  peer.write('GET /http HTTP/1.1\r\nHost: localhost\r\n\r\n')
  assert.equal((await peer.answer).status, 200)
  const closing = app.close()
  await until(() => !app.sockets.accepting)
  peer.write(handshake('/'))
  await peer.ended
  finish()
  await closing
  assert.equal((await working.closed).code, 1012)
  assertBounded(reportOf(app))
  assert.equal(reportOf(app).connections.total, 1)
})

test('an upgrade that is pipelined behind a slow request is refused after the answer to that request, and holds no drain up', async (t) => {
  const { promise, resolve: answer } = deferred<void>()
  let asked = false
  const app = await start(t, { drain: { timeout: 1_000 } }, (app) => {
    echo(app)
    app.get('/slow', async () => { asked = true; await promise; return 'slow' })
  })
  const peer = await rawTcp(t, app)
  peer.write(SLOW + handshake('/'))
  await until(() => asked)
  assertBounded(await app.sockets.drain())
  answer()
  // Its answer says that the connection ends with it.
  assert.equal((await peer.answer).status, 200)
  await peer.ended
  assert.equal(peer.body, 'slow')
  assert.equal(app.sockets.size, 0)
})

// ——— pipelined handshakes

const SLOW = 'GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n'

/** An app with a route `/slow` that answers when told to, and `/big` that answers more than any buffer takes. */
async function pipelines (t: TestContext) {
  const { promise, resolve: answer } = deferred<void>()
  let asked = 0
  const accepted: Socket[] = []
  const app = await start(t, {}, (app) => {
    app.server.on('connection', (socket: Socket) => { accepted.push(socket) })
    app.get('/', { websocket: true }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
    app.get('/slow', async ({ url }, reply) => {
      asked++
      await promise
      if (url.includes('last')) reply.header('connection', 'close')
      return 'slow'
    })
    app.get('/big', (_request, reply) => { void reply.send(Readable.from(Array.from({ length: 256 }, () => Buffer.alloc(65_536, 'x')))) })
  })
  const peer = await rawTcp(t, app)
  return { app, peer, accepted, answer, asked: (times = 1) => until(() => asked === times) }
}

test('an upgrade that is pipelined behind a request opens after the answer to that request', async (t) => {
  const { app, peer, answer, asked } = await pipelines(t)
  peer.write(SLOW + SLOW + handshake('/'))
  await asked(2)
  assert.equal(app.sockets.stats().opened, 0)
  answer()
  assert.equal((await peer.answer).status, 200)
  await until(() => peer.body.includes('HTTP/1.1 101'))
  assert.match(peer.body, /^slowHTTP\/1\.1 200 OK\r\n[^]*slowHTTP\/1\.1 101 Switching Protocols\r\n/)
  assert.equal(app.sockets.size, 1)
  peer.destroy()
})

test('an upgrade that is pipelined behind a request whose answer is larger than all buffers opens after it', async (t) => {
  const { app, peer } = await pipelines(t)
  let received = 0
  peer.socket.on('data', ({ length }: Buffer) => { received += length })
  peer.write(`GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n${handshake('/')}`)
  await until(() => app.sockets.size === 1)
  await until(() => received > 256 * 65_536)
  peer.destroy()
})

test('a socket that Node has stopped reading, for an answer had filled its buffers, is read again after a pipelined upgrade', async (t) => {
  const { app, peer, accepted, answer, asked } = await pipelines(t)
  peer.pause()
  peer.write('GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => accepted[0]?.writableNeedDrain)
  // It stops at a request, not at an upgrade.
  peer.write(SLOW + handshake('/'))
  await asked()
  answer()
  peer.resume()
  await until(() => app.sockets.size === 1)
  peer.write(maskedFrame(Opcode.Close, Buffer.from([3, 232])))
  await until(() => app.sockets.history[0]?.code === 1000)
  peer.destroy()
})

for (const how of ['resets', 'leaves'] as const) {
  test(`a client that ${how} while its pipelined upgrade waits ends neither the process nor holds its socket`, async (t) => {
    const { app, peer, asked } = await pipelines(t)
    peer.write(SLOW + handshake('/'))
    await asked()
    assert.equal(await connections(app), 1)
    if (how === 'resets') peer.reset()
    else peer.end()
    await untilGone(app)
    assert.equal(app.sockets.stats().opened, 0)
  })
}

test('an upgrade behind a request with an answer that ends the connection is never looked at', async (t) => {
  const { app, peer, answer, asked } = await pipelines(t)
  peer.write(SLOW.replace('/slow', '/slow?last') + handshake('/'))
  await asked()
  answer()
  assert.equal((await peer.answer).headers.get('connection'), 'close')
  await peer.ended
  assert.equal(peer.body, 'slow')
  await untilGone(app)
  assert.deepEqual([app.sockets.stats().opened, app.sockets.stats().refused], [0, {}])
})

// ——— sockets that other listeners take

for (const how of ['a reset', 'an ended answer'] as const) {
  test(`${how} on a socket that another 'upgrade' listener has taken leaves nothing`, async (t) => {
    const app = await start(t, {}, echo)
    const taken: Duplex[] = []
    app.server.prependListener('upgrade', (_request, raw: Duplex) => {
      taken.push(raw)
      if (how === 'a reset') raw.on('data', () => {})
      else raw.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')
    })
    // What follows keeps the client's end from being seen.
    const peer = await rawTcp(t, app)
    peer.write(handshake('/') + 'more')
    await until(() => taken.length === 1)
    if (how === 'a reset') peer.reset()
    else assert.equal((await peer.answer).status, 400)
    await untilGone(app)
    assert.equal(app.sockets.stats().opened, 0)
  })
}

/** TCP connections of the server. */
function connections (app: TestApp): Promise<number> {
  return new Promise((resolve) => { app.server.getConnections((_error, count) => { resolve(count) }) })
}

async function untilGone (app: TestApp): Promise<void> {
  while (await connections(app) > 0) await new Promise((resolve) => { setImmediate(resolve) })
}

// ——— unusual handshakes

test('frames that come with the handshake are heard', async (t) => {
  const app = await start(t, PATIENT, echo)
  const peer = await rawTcp(t, app)
  peer.socket.write(Buffer.concat([Buffer.from(handshake('/')), maskedFrame(Opcode.Text, 'early'), maskedFrame(Opcode.Close, Buffer.from([3, 0xe8]))]))
  assert.equal((await peer.answer).status, 101)
  assert.equal((await peer.frame()).payload.toString(), 'early')
  assert.equal((await peer.closeFrame()).code, 1000)
  peer.end()
  await until(() => app.sockets.history.length === 1)
  assert.equal(app.sockets.history[0]!.clean, true)
})

test('frames that arrive while a slow hook decides are not lost', async (t) => {
  const { promise, resolve: sayYes } = deferred<void>()
  const app = await start(t, PATIENT, (app) => {
    app.get('/', { websocket: true, preHandler: () => promise }, (socket) => { socket.on('message', (data) => { socket.send(String(data)) }) })
  })
  const peer = await rawHandshake(t, app, '/')
  peer.send(Opcode.Text, 'early')
  sayYes()
  assert.equal((await peer.frame()).payload.toString(), 'early')
})

test('half a handshake that is still on its way when the server closes does not open a connection', async (t) => {
  const app = await start(t, PATIENT, echo)
  const peer = await rawTcp(t, app)
  const head = handshake('/')
  peer.write(head.slice(0, 40))
  await until(() => true)
  const closing = app.close()
  peer.write(head.slice(40))
  await closing
  await peer.ended
  const status = await peer.answer.then(({ status }) => status, () => 'none')
  assert.ok(status === 503 || status === 'none')
  assert.equal(app.sockets.stats().opened, 0)
})

const WRONG: Array<[what: string, path: string, headers: Record<string, string>, status: number]> = [
  ['an unknown path', '/nowhere', {}, 404],
  ['a wrong version', '/', { 'Sec-WebSocket-Version': '7' }, 426],
  ['no key', '/', { 'Sec-WebSocket-Key': '' }, 400]
]

for (const [what, path, headers, status] of WRONG) {
  test(`a handshake with ${what} is refused and its TCP connection closed, before and in a drain`, async (t) => {
    const { promise, resolve: finish } = deferred<void>()
    const app = await start(t, PATIENT, (app) => {
      echo(app)
      app.get('/work', { websocket: true }, (socket) => { void app.sockets.of(socket).track(promise) })
    })
    const before = await rawHandshake(t, app, path, headers)
    assert.ok([status, 400, 404, 426].includes((await before.answer).status))
    await before.ended
    const working = await connect(t, app, '/work')
    const draining = app.sockets.drain()
    assert.equal(app.sockets.accepting, false)
    const during = await rawHandshake(t, app, path, headers)
    assert.equal((await during.answer).status, 503)
    await during.ended
    finish()
    await draining
    assert.equal((await working.closed).code, 1012)
    assertBounded(reportOf(app))
  })
}

test('a plain HTTP route that is upgraded is refused, warned about once, and leaves nothing', async (t) => {
  const app = await start(t, PATIENT, (app) => { app.get('/plain', async () => 'plain') })
  for (let i = 0; i < 3; i++) {
    const client = await connect(t, app, '/plain')
    assert.equal((await client.closed).code, 1005)
  }
  await until(() => app.sockets.size === 0)
  assert.deepEqual(app.sockets.stats().refused, { 'not a websocket route': 3 })
  assert.equal(logged(app, /plain HTTP route was asked for a WebSocket/).length, 1)
  await assertClean(app)
})

test('an onOpen, owner or data hook that throws ends its connection, not the server', async (t) => {
  for (const name of ['onOpen', 'owner', 'data'] as const) {
    const app = await start(t, { ...PATIENT, [name]: () => { throw new Error(name) } }, (app) => {
      app.get('/', { websocket: true }, () => { assert.fail('handled') })
    })
    const client = await connect(t, app, '/')
    assert.equal((await client.closed).code, 1011)
    await app.close()
    assert.deepEqual(app.sockets.stats().closed, { error: 1 })
  }
})
