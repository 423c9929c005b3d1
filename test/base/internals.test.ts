/**
 * Private parts of other packages: what is answered where a part is missing, that none is missing in the versions installed, and
 * that no other file of lib/ touches one.
 */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { Duplex, PassThrough } from 'node:stream'
import test from 'node:test'
// The compiler that tsd brings: TypeScript 7 has no such interface.
import ts from '@tsd/typescript'
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws'
import * as internals from '../../lib/base/internals.ts'
import { connect, start } from '../helpers/server.ts'

const LIB = join(import.meta.dirname, '../../lib')
const FILE = join('base', 'internals.ts')

/** An object that has none of the parts. */
const bare = (fields: object = {}) => ({ readyState: 1, OPEN: 1, ...fields }) as never
/** Whether a call leaves an object as it is. */
const unchanged = (change: (object: never) => void, object: object = bare()): boolean => {
  const before = Reflect.ownKeys(object).map((key) => [key, Reflect.get(object, key)])
  change(object as never)
  assert.deepEqual(Reflect.ownKeys(object).map((key) => [key, Reflect.get(object, key)]), before)
  return true
}
const listener = (): void => {}

/** By function: what it answers without its part, and what is expected. */
const WITHOUT: Record<Exclude<keyof typeof internals, 'OWN_METHOD'>, [answer: () => unknown, expected: unknown]> = {
  rawSocketOf: [() => internals.rawSocketOf(bare()), undefined],
  receiverOf: [() => internals.receiverOf(bare()), undefined],
  closeFrameSent: [() => internals.closeFrameSent(bare()), false],
  closeFrameReceived: [() => internals.closeFrameReceived(bare()), false],
  peerCode: [() => internals.peerCode(bare()), 1005],
  peerReason: [() => internals.peerReason(bare()), ''],
  bytesInSender: [() => [bare(), bare({ _sender: {} })].map(internals.bytesInSender), [0, 0]],
  isDirect: [() => [bare(), bare({ _socket: {}, _sender: {} })].map(internals.isDirect), [false, false]],
  isMidMessage: [() => [bare(), bare({ _sender: { _firstFragment: false } })].map(internals.isMidMessage), [false, false]],
  compresses: [() => [bare(), bare({ _sender: {} })].map(internals.compresses), [false, false]],
  isSendOfWs: [() => [undefined, null, listener, listener].map(internals.isSendOfWs), [false, false, false, false]],
  takePongLimit: [() => unchanged(internals.takePongLimit), true],
  pongsWait: [() => internals.pongsWait(bare(), 1), false],
  shareExtensions: [() => unchanged(internals.shareExtensions) && unchanged(internals.shareExtensions, { _extensions: {} }), true],
  givenListener: [() => internals.givenListener(listener), listener],
  isStreamListener: [() => [listener, null].map((each) => internals.isStreamListener(each, 'message')), [false, false]],
  isStreamOfWs: [() => internals.isStreamOfWs(new PassThrough()), false],
  isWsListener: [() => internals.isWsListener(listener), false],
  responseOn: [() => internals.responseOn(bare()), undefined],
  replaceResponse: [() => unchanged((raw) => { internals.replaceResponse({} as ServerResponse, raw, {}) }), true],
  requestOn: [() => internals.requestOn(bare()), undefined],
  serverOf: [() => internals.serverOf(bare()), undefined],
  readHttp: [() => {
    const server = createServer()
    const raw = new Duplex({ read () {} })
    let connected: unknown
    server.removeAllListeners('connection').on('connection', (socket) => { connected = socket })
    internals.readHttp(server, raw, {})
    return connected === raw
  }, true],
  socketBelow: [() => internals.socketBelow(bare()), undefined],
  bytesPending: [() => [bare({ writableLength: 3 }), bare({ writableLength: 3, _handle: null }), bare({ writableLength: 0 })].map(internals.bytesPending), [3, 3, 0]],
  bytesTakenFrom: [() => [bare({ bytesWritten: 5, writableLength: 3 }), bare({ writableLength: 0 }), bare({ bytesWritten: 5, writableLength: 3, _handle: null })].map(internals.bytesTakenFrom), [2, 0, 2]],
  isUpgrade: [() => internals.isUpgrade(bare()), false],
  withoutAddress: [() => unchanged((raw) => { internals.withoutAddress(raw, () => {}) }), true],
  packListeners: [() => [bare(), { _events: Object.create({}) as object }].every((emitter) => unchanged((given) => { internals.packListeners(given, 'raw') }, emitter)), true],
  isFastifyWebsocket: [() => internals.isFastifyWebsocket(listener), false],
  isProxied: [() => internals.isProxied({}), false],
  secondaryServers: [() => internals.secondaryServers({ [Symbol('other')]: [1] }), []],
  beforePreClose: [() => unchanged((app) => { internals.beforePreClose(app, () => { throw new Error('called') }) }), true]
}

for (const [name, [answer, expected]] of Object.entries(WITHOUT)) {
  test(`${name}() answers without its part`, () => { assert.deepEqual(answer(), expected) })
}

test('every function has such an answer, and says in which version it was seen, and what happens without it', () => {
  const source = readFileSync(join(LIB, FILE), 'utf8')
  for (const name of Object.keys(internals)) {
    assert.ok(name === 'OWN_METHOD' || name in WITHOUT, name)
    const [comment] = /\/\*\*(?:(?!\*\/)[^])*\*\/\n$/.exec(source.slice(0, source.search(new RegExp(`^export (?:function|const) ${name}\\b`, 'm')))) ?? ['']
    assert.match(comment, /(?:\d+\.\d+\.\d+|Node\.js)[^]*Without it: /, name)
  }
})

test('the parts of an open WebSocket are there', async (t) => {
  const seen: Record<string, unknown> = {}
  const app = await start(t, {}, (app) => {
    app.addHook('onRequest', ({ raw }, _reply, done) => {
      seen.responseOn = internals.responseOn(raw.socket) instanceof ServerResponse
      seen.serverOf = internals.serverOf(raw.socket) === app.server
      done()
    })
    app.get('/', { websocket: true }, () => {})
    app.get('/http', ({ raw }) => {
      seen.requestOn = internals.requestOn(raw.socket) === raw
      return 'ok'
    })
  })
  const client = await connect(t, app, '/')
  const { socket } = app.sockets.list()[0]!
  const raw = internals.rawSocketOf(socket)
  assert.equal(raw.remotePort, (client.socket as unknown as { _socket: Socket })._socket.localPort)
  assert.equal(internals.receiverOf(socket)?.writable, true)
  assert.deepEqual([internals.isDirect(socket), internals.isMidMessage(socket), internals.compresses(socket)], [true, false, false])
  socket.send('a part', { fin: false })
  assert.equal(internals.isMidMessage(socket), true)
  socket.send('the rest')
  const { _extensions: shared } = socket as unknown as { _extensions: object }
  assert.equal(Object.isFrozen(shared), true)
  assert.equal((socket as unknown as { _maxPendingAutoPongs: number })._maxPendingAutoPongs, -60)
  // More than the kernel takes at once: what it has taken is pending no more.
  raw.write(Buffer.alloc(50_000_000))
  assert.ok(internals.bytesPending(raw) > 0 && internals.bytesPending(raw) < raw.writableLength)
  raw.destroy()
  await (await fetch(`http://127.0.0.1:${(app.server.address() as { port: number }).port}/http`)).text()
  assert.deepEqual(seen, { responseOn: true, serverOf: true, requestOn: true })
})

test('the parts of a close are there, for the one who closes and for the other', async (t) => {
  const app = await start(t, {}, (app) => { app.get('/', { websocket: true }, () => {}) })
  const client = await connect(t, app, '/')
  const { socket } = app.sockets.list()[0]!
  assert.deepEqual([internals.closeFrameSent(socket), internals.closeFrameReceived(socket)], [false, false])
  const closed = new Promise((resolve) => { socket.once('close', resolve) })
  await client.close(4001, 'why')
  await closed
  assert.deepEqual([internals.closeFrameSent(socket), internals.closeFrameReceived(socket)], [true, true])
  assert.deepEqual([internals.peerCode(socket), internals.peerReason(socket)], [4001, 'why'])
})

test('the parts of Fastify, of a ws server and of a stream are there', async (t) => {
  const app = await start(t, {}, (app) => { app.get('/', { websocket: true }, () => {}) })
  assert.ok(Object.getOwnPropertySymbols(app).some(({ description }) => description === 'fastify.serverBindings'))
  assert.equal(typeof (app as unknown as { onClose: unknown }).onClose, 'function')
  const http = createServer()
  new WebSocketServer({ server: http }).close()
  const server = new WebSocketServer({ server: http })
  assert.deepEqual(http.listeners('upgrade').map(internals.isWsListener), [true])
  server.close()
  const client = await connect(t, app, '/')
  const stream = createWebSocketStream(client.socket)
  assert.equal(internals.isStreamOfWs(stream), true)
  assert.ok(client.socket.listeners('message').some((each) => internals.isStreamListener(each, 'message')))
  assert.ok(client.socket.rawListeners('close').some((each) => internals.isStreamListener((each as { listener?: unknown }).listener ?? each, 'close')))
  client.socket.addEventListener('message', listener)
  assert.equal(internals.givenListener(client.socket.listeners('message').at(-1)!), listener)
  assert.equal(Object.hasOwn(WebSocket.prototype, internals.OWN_METHOD), true)
})

test('pongs that wait are counted against the limit of ws, and against several times as many', () => {
  const waits = (pending: number) => [1, 4].map((times) => internals.pongsWait({ _pendingAutoPongs: pending, _maxPendingAutoPongs: -60 } as unknown as WebSocket, times))
  assert.deepEqual([59, 60, 239, 240].map(waits), [[false, false], [true, false], [true, false], [true, true]])
})

test('a socket with a sender and no raw socket is not direct: there is nothing to write to', async (t) => {
  const app = await start(t, {}, (app) => { app.get('/', { websocket: true }, () => {}) })
  await connect(t, app, '/')
  const { socket } = app.sockets.list()[0]!
  assert.equal(internals.isDirect(bare({ _sender: (socket as unknown as { _sender: object })._sender })), false)
})

test('a large write under way counts as what libuv holds of it', () => {
  const raw = { writableLength: 100, _writableState: { writing: true, writelen: 90 }, _handle: { writeQueueSize: 30 } } as unknown as Socket
  assert.equal(internals.bytesPending(raw), 40)
})

test('the send of ws is known by its source, also minified; one that calls it is not', () => {
  const { send } = WebSocket.prototype
  const minified = class { declare _sender: { send (...args: unknown[]): void }; declare readyState: number; send (e: unknown, t: unknown) { if (this.readyState === 0) throw new Error('WebSocket is not open: readyState 0 (CONNECTING)'); this._sender.send(e, t) } }
  const wrapped = function (this: WebSocket, ...args: never[]) { Reflect.apply(send, this, args) }
  const own = function (this: { _sender: { send (data: string): void } }, data: string) { this._sender.send(data) }
  // Twice: the answer is kept.
  for (let i = 0; i < 2; i++) {
    assert.deepEqual([send, minified.prototype.send].map(internals.isSendOfWs), [true, true])
    assert.deepEqual([wrapped, own, send.bind(null as never)].map(internals.isSendOfWs), [false, false, false])
  }
})

test('listeners of a packed emitter are called as before, and can be removed', () => {
  for (const kind of ['socket', 'raw', 'receiver'] as const) {
    // A stream begins with fields for its events.
    for (const make of [() => new EventEmitter(), () => new PassThrough()]) {
      for (const added of [['close'], ['close', 'message'], ['message', 'close', 'close']]) {
        const emitter = make()
        const called: string[] = []
        const add = (event: string): void => { emitter.on(event, () => { called.push(event) }) }
        for (const event of added) add(event)
        const before = emitter.eventNames()
        internals.packListeners(emitter, kind)
        assert.deepEqual(new Set(emitter.eventNames()), new Set(before))
        add('error')
        for (const event of new Set([...added, 'error'])) emitter.emit(event)
        assert.deepEqual(called.sort(), [...added, 'error'].sort())
        emitter.removeAllListeners('message')
        assert.equal(emitter.emit('message'), false)
        assert.equal(emitter.listenerCount('close'), added.filter((event) => event === 'close').length)
      }
    }
  }
})

/** Names of parts that look like public ones. */
const NAMES = new Set(['detachSocket', 'wsProxy', 'getOwnPropertySymbols'])

/** Private parts that a source touches: fields whose name begins with `_`, symbols by their description, sources of functions. */
function partsIn (source: string): string[] {
  const found: string[] = []
  const visit = (node: ts.Node) => {
    const name = ts.isPropertyAccessExpression(node) || ts.isPropertySignature(node) || ts.isMethodSignature(node)
      ? node.name
      : ts.isElementAccessExpression(node)
        ? node.argumentExpression
        : ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent)
          ? node.propertyName ?? node.name
          : undefined
    if (name !== undefined && (ts.isIdentifier(name) || ts.isStringLiteral(name)) && (/^_[a-z]/.test(name.text) || NAMES.has(name.text))) found.push(name.text)
    if (ts.isPropertyAccessExpression(node) && node.getText().endsWith('Function.prototype.toString')) found.push('source')
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('source.ts', source, ts.ScriptTarget.Latest, true))
  return found
}

test('no other file of lib/ touches a private part', () => {
  for (const file of readdirSync(LIB, { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.ts') && file !== FILE) assert.deepEqual(partsIn(readFileSync(join(LIB, file), 'utf8')), [], file)
  }
})

test('the check finds parts however they are touched', () => {
  assert.deepEqual(partsIn(`
    socket._sender
    socket['_queue']
    const { _handle: handle, _parent } = raw
    interface Inside { _events?: object, _write (): void }
    Function.prototype.toString.call(listener)
    Object.getOwnPropertySymbols(app)
    function unused (_error: Error, { a: _b }: object) {}`),
  ['_sender', '_queue', '_handle', '_parent', '_events', '_write', 'source', 'getOwnPropertySymbols'])
})
