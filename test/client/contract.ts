/**
 * What the standard asks of a WebSocket class, as far as it can be observed from outside, one row for each behaviour.
 *
 * The rows run in Node.js and in a browser: nothing is imported. Each returns what it has observed, as JSON has it.
 */

/** What rows use. */
export interface Ground {
  /** The class under test. */
  Socket: any
  /** Address of the server, `ws://127.0.0.1:port`; scripts/contract-server says what its paths do. */
  url: string
}

export interface Row {
  title: string
  observe (ground: Ground): unknown
  expected: unknown
}

const rows: Row[] = []

function row (title: string, expected: unknown, observe: Row['observe']): void {
  rows.push({ title, expected, observe })
}

/** What a call throws. A socket that it makes is closed. */
function thrown (call: () => any): string {
  try {
    const socket = call()
    socket?.addEventListener('error', () => {})
    socket?.close()
    return 'nothing'
  } catch (error) {
    return `${error instanceof DOMException ? 'DOMException ' : ''}${(error as Error).name}`
  }
}

/** All events of a socket up to 'close', with readyState at the time. */
function eventsOf (socket: any, tell: (event: any) => unknown = () => ''): Promise<string[]> {
  const events: string[] = []
  return new Promise((resolve) => {
    for (const type of ['open', 'message', 'error', 'close']) {
      socket.addEventListener(type, (event: any) => {
        events.push(`${type} ${socket.readyState} ${type === 'close' ? `${event.code} ${JSON.stringify(event.reason)} ${event.wasClean}` : String(tell(event))}`.trim())
        if (type === 'close') resolve(events)
      })
    }
  })
}

function once (socket: any, type: string): Promise<any> {
  return new Promise((resolve) => { socket.addEventListener(type, resolve, { once: true }) })
}

/** Opens a socket, gives it to a function once it is open, and closes it. */
async function whileOpen (ground: Ground, path: string, use: (socket: any) => unknown): Promise<unknown> {
  const socket = new ground.Socket(ground.url + path)
  await once(socket, 'open')
  const result = await use(socket)
  if (socket.readyState < 2) socket.close()
  if (socket.readyState < 3) await once(socket, 'close')
  return result
}

/** Sends, and returns what comes back. */
async function echo (socket: any, data: unknown): Promise<any> {
  const answer = once(socket, 'message')
  socket.send(data)
  return (await answer).data
}

// ——— constructor

for (const url of ['', '/', 'nonsense', 'ws://', 'ftp://127.0.0.1/', 'mailto:a@b', 'ws://127.0.0.1/#', 'ws://127.0.0.1/#fragment', 'wss://127.0.0.1:99999/']) {
  // A page resolves relative addresses.
  if (/^(ws|ftp|mailto)/.test(url)) row(`new WebSocket(${JSON.stringify(url)}) throws`, 'DOMException SyntaxError', ({ Socket }) => thrown(() => new Socket(url)))
}
for (const [url, href] of [
  ['WS://127.0.0.1:1/Path?Query', 'ws://127.0.0.1:1/Path?Query'],
  ['ws://127.0.0.1:80', 'ws://127.0.0.1/'],
  ['wss://127.0.0.1:443/a b', 'wss://127.0.0.1/a%20b'],
  ['http://127.0.0.1:1/', 'ws://127.0.0.1:1/'],
  ['https://127.0.0.1:1/', 'wss://127.0.0.1:1/'],
  ['ws://127.0.0.1:1/../b/./c', 'ws://127.0.0.1:1/b/c'],
  ['ws://127.0.0.1:1/?ä', 'ws://127.0.0.1:1/?%C3%A4']
]) {
  row(`new WebSocket(${JSON.stringify(url)}).url`, href, async ({ Socket }) => {
    const socket = new Socket(url)
    const closed = eventsOf(socket)
    socket.close()
    await closed
    return socket.url
  })
}
row('a URL object is an address', 'ws', async ({ Socket, url }) => {
  const socket = new Socket(new URL(`${url}/echo`))
  await once(socket, 'open')
  socket.close()
  await once(socket, 'close')
  return socket.url.slice(0, 2)
})
for (const [name, protocols] of Object.entries({
  'an empty one': '', space: 'a b', comma: 'a,b', quotes: '"a"', slash: 'a/b', colon: 'a:b', 'a control character': 'a\u0001', 'not ASCII': 'é', DEL: 'a\u007f', repeated: ['a', 'b', 'a'], 'one of two': ['a', 'b c']
})) {
  row(`a subprotocol that is not valid (${name}) throws`, 'DOMException SyntaxError', ({ Socket, url }) => thrown(() => new Socket(`${url}/echo`, protocols)))
}
for (const [name, protocols, chosen] of [
  ['one', 'chat', 'chat'], ['a list of one', ['chat'], 'chat'], ['a list of two', ['other', 'chat'], 'chat'], ['with all characters of a token', "!#$%&'*+-.^_`|~09azAZ", "!#$%&'*+-.^_`|~09azAZ"],
  ['an empty list', [], ''], ['undefined', undefined, '']
] as const) {
  row(`the subprotocol that the server chooses (${name})`, ['', chosen], async ({ Socket, url }) => {
    const socket = new Socket(`${url}/echo`, protocols)
    const before = socket.protocol
    await once(socket, 'open')
    const { protocol } = socket
    socket.close()
    await once(socket, 'close')
    return [before, protocol]
  })
}
row('a new socket is CONNECTING, and has nothing', [0, 0, 'blob', '', '', null, null, null, null], async ({ Socket, url }) => {
  const socket = new Socket(`${url}/echo`)
  const { readyState, bufferedAmount, binaryType, extensions, protocol, onopen, onmessage, onerror, onclose } = socket
  await once(socket, 'open')
  socket.close()
  await once(socket, 'close')
  return [readyState, bufferedAmount, binaryType, extensions, protocol, onopen, onmessage, onerror, onclose]
})
row('without new it throws', 'TypeError', ({ Socket, url }) => thrown(() => Socket(`${url}/echo`)))
row('a socket is an EventTarget', true, ({ Socket }) => Socket.prototype instanceof EventTarget)
row('length of the constructor', 1, ({ Socket }) => Socket.length)
row('the members are on the prototype', [], ({ Socket }) => [
  'url', 'readyState', 'bufferedAmount', 'extensions', 'protocol', 'binaryType', 'send', 'close', 'onopen', 'onmessage', 'onerror', 'onclose'
].filter((name) => Object.getOwnPropertyDescriptor(Socket.prototype, name) === undefined))
for (const [value, name] of ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'].entries()) {
  row(`${name} is a constant of class and sockets`, [value, value, [true, false, false], [true, false, false]], ({ Socket }) => {
    const attributes = (holder: object) => {
      const { enumerable, writable, configurable } = Object.getOwnPropertyDescriptor(holder, name)!
      return [enumerable, writable, configurable]
    }
    return [Socket[name], Socket.prototype[name], attributes(Socket), attributes(Socket.prototype)]
  })
}
for (const name of ['url', 'readyState', 'bufferedAmount', 'extensions', 'protocol']) {
  row(`${name} cannot be set`, 'TypeError', async (ground) => whileOpen(ground, '/echo', (socket) => thrown(() => { socket[name] = 'other' })))
}

// ——— opening

row('open comes once, as a plain event', [['open 1 [object Event] false false true', 'close 3 1005 "" true']], async ({ Socket, url }) => {
  const socket = new Socket(`${url}/echo`)
  const events = eventsOf(socket, (event) => `${String(event)} ${event.bubbles} ${event.cancelable} ${event.target === socket}`)
  await once(socket, 'open')
  socket.close()
  return [await events]
})
row('send() while CONNECTING throws', 'DOMException InvalidStateError', async ({ Socket, url }) => {
  const socket = new Socket(`${url}/echo`)
  const result = thrown(() => { socket.send('early') })
  await once(socket, 'open')
  socket.close()
  await once(socket, 'close')
  return result
})
for (const path of ['/refuse', '/reset']) {
  row(`a handshake that fails (${path}): error, then close`, ['error 3', 'close 3 1006 "" false'], ({ Socket, url }) => eventsOf(new Socket(url + path)))
}
row('close() while CONNECTING: CLOSING at once, then error and close', [2, ['error 3', 'close 3 1006 "" false']], async ({ Socket, url }) => {
  const socket = new Socket(`${url}/hang`)
  const events = eventsOf(socket)
  socket.close(1000, 'changed my mind')
  return [socket.readyState, await events]
})
row('close() while CONNECTING, later', [2, ['error 3', 'close 3 1006 "" false']], async ({ Socket, url }) => {
  const socket = new Socket(`${url}/hang`)
  const events = eventsOf(socket)
  await new Promise((resolve) => { setTimeout(resolve, 50) })
  socket.close()
  return [socket.readyState, await events]
})

// ——— messages

for (const [name, text] of Object.entries({ text: 'hello', 'an empty text': '', unicode: 'ä€😀', long: 'x'.repeat(100_000) })) {
  row(`${name} comes back`, [text.length, true], async (ground) => whileOpen(ground, '/echo', async (socket) => {
    const data = await echo(socket, text)
    return [data.length, data === text]
  }))
}
row('unpaired surrogates are replaced', 'a\ufffdb', async (ground) => whileOpen(ground, '/echo', (socket) => echo(socket, 'a\ud800b')))
row('what is no string and no data is sent as a string', ['null', 'undefined', '1.5', 'true'], async (ground) => whileOpen(ground, '/echo', async (socket) => {
  const answers: unknown[] = []
  for (const value of [null, undefined, 1.5, true]) answers.push(await echo(socket, value))
  return answers
}))
for (const [name, make] of Object.entries<() => unknown>({
  'an ArrayBuffer': () => new Uint8Array([1, 2, 3]).buffer,
  'a Uint8Array': () => new Uint8Array([1, 2, 3]),
  'a part of an array': () => new Uint8Array([0, 1, 2, 3, 4]).subarray(1, 4),
  'a DataView': () => new DataView(new Uint8Array([0, 1, 2, 3]).buffer, 1),
  'a Blob': () => new Blob([new Uint8Array([1, 2, 3])])
})) {
  row(`${name} comes back as an ArrayBuffer`, ['[object ArrayBuffer]', [1, 2, 3]], async (ground) => whileOpen(ground, '/echo', async (socket) => {
    socket.binaryType = 'arraybuffer'
    const data = await echo(socket, make())
    return [String(data), [...new Uint8Array(data)]]
  }))
}
row('binary messages are Blobs by default', ['[object Blob]', 3, ''], async (ground) => whileOpen(ground, '/echo', async (socket) => {
  const data = await echo(socket, new Uint8Array(3))
  return [String(data), data.size, data.type]
}))
row('binaryType can be changed at any time, to what the standard knows', ['arraybuffer', 'arraybuffer', '[object ArrayBuffer]', '[object Blob]'], async (ground) => whileOpen(ground, '/echo', async (socket) => {
  socket.binaryType = 'arraybuffer'
  const first = socket.binaryType
  socket.binaryType = 'other'
  const second = socket.binaryType
  const third = String(await echo(socket, new Uint8Array(1)))
  socket.binaryType = 'blob'
  return [first, second, third, String(await echo(socket, new Uint8Array(1)))]
}))
row('messages of both kinds keep their order', ['text', 2, 'more', 3], async (ground) => whileOpen(ground, '/echo', async (socket) => {
  socket.binaryType = 'arraybuffer'
  const got: unknown[] = []
  const all = new Promise<void>((resolve) => {
    socket.onmessage = ({ data }: any) => { if (got.push(typeof data === 'string' ? data : data.byteLength) === 4) resolve() }
  })
  socket.send('text')
  socket.send(new Uint8Array(2))
  socket.send('more')
  socket.send(new Blob([new Uint8Array(3)]))
  await all
  return got
}))
row('a message event has data, origin and no ports', [true, 'a', true, '', null, 0, true], async (ground) => whileOpen(ground, '/echo', async (socket) => {
  const message = once(socket, 'message')
  socket.send('a')
  const event = await message
  return [event instanceof MessageEvent, event.data, event.origin === ground.url, event.lastEventId, event.source, event.ports.length, event.target === socket]
}))
row('messages that the server sends at once come after open', ['open 1', 'message 1 one', 'message 1 two', 'close 3 1000 "done" true'], ({ Socket, url }) => {
  const socket = new Socket(`${url}/burst`)
  return eventsOf(socket, ({ data }) => data ?? '')
})
row('bufferedAmount is 0 when all is sent', 0, async (ground) => whileOpen(ground, '/echo', async (socket) => {
  await echo(socket, 'x'.repeat(10_000))
  return socket.bufferedAmount
}))

// ——— closing

for (const code of [0, 1, 999, 1001, 1004, 1005, 1006, 1015, 2999, 5000, 65535, 66536, NaN, null, 'x']) {
  row(`close(${String(code)}) throws`, ['DOMException InvalidAccessError', 1], async (ground) => whileOpen(ground, '/echo', (socket) => [thrown(() => { socket.close(code) }), socket.readyState]))
}
row('a reason of more than 123 bytes throws', ['DOMException SyntaxError', 'DOMException SyntaxError', 1], async (ground) => whileOpen(ground, '/echo', (socket) => [
  thrown(() => { socket.close(1000, 'x'.repeat(124)) }), thrown(() => { socket.close(1000, 'é'.repeat(62)) }), socket.readyState
]))
for (const [args, seen] of [
  [[], '1005 "" true'],
  [[undefined], '1005 "" true'],
  [[1000], '1000 "" true'],
  [['1000'], '1000 "" true'],
  [[1000, 'bye'], '1000 "bye" true'],
  [[3000, 'é'.repeat(61)], `3000 "${'é'.repeat(61)}" true`],
  [[4999, 5], '4999 "5" true']
] as const) {
  row(`close(${args.map((value) => JSON.stringify(value)).join(', ')})`, [2, ['open 1', `close 3 ${seen}`]], async ({ Socket, url }) => {
    const socket = new Socket(`${url}/echo`)
    const events = eventsOf(socket)
    await once(socket, 'open')
    socket.close(...args)
    const { readyState } = socket
    socket.close(4000, 'again')
    return [readyState, await events]
  })
}
for (const [path, seen] of Object.entries({ '/close': '1005 "" true', '/close?code=1000': '1000 "" true', '/close?code=1012&reason=service%20restart': '1012 "service restart" true', '/close?code=4321&reason=%C3%A4': '4321 "ä" true' })) {
  row(`the close of the server: ${path}`, ['open 1', `close 3 ${seen}`], ({ Socket, url }) => eventsOf(new Socket(url + path)))
}
row('a connection that is cut', ['open 1', 'close 3 1006 "" false'], async ({ Socket, url }) => {
  const events = await eventsOf(new Socket(`${url}/cut`))
  return events
})
row('a frame that breaks the protocol: error, then close', ['open 1', 'error 3', 'close 3 1006 "" false'], ({ Socket, url }) => eventsOf(new Socket(`${url}/broken`)))
row('a close event has its class', [true, 3000, 'bye', true, true], async ({ Socket, url }) => {
  const socket = new Socket(`${url}/echo`)
  await once(socket, 'open')
  const closed = once(socket, 'close')
  socket.close(3000, 'bye')
  const event = await closed
  const { CloseEvent } = globalThis as any
  return [CloseEvent === undefined || event instanceof CloseEvent, event.code, event.reason, event.wasClean, event.target === socket]
})
row('a copy of a close event by its constructor is equal', [4000, 'copy', true], async ({ Socket, url }) => {
  const socket = new Socket(`${url}/echo`)
  await once(socket, 'open')
  const closed = once(socket, 'close')
  socket.close(4000, 'copy')
  const event = await closed
  const copy = new event.constructor(event.type, event)
  return [copy.code, copy.reason, copy.wasClean]
})
row('send() and close() after the end do nothing', ['nothing', 'nothing', 3], async ({ Socket, url }) => {
  const socket = new Socket(`${url}/close`)
  await once(socket, 'close')
  return [thrown(() => { socket.send('late') }), thrown(() => { socket.close(1000) }), socket.readyState]
})
row('send() after close() does nothing', ['nothing', ['open 1', 'close 3 1005 "" true']], async ({ Socket, url }) => {
  const socket = new Socket(`${url}/echo`)
  const events = eventsOf(socket)
  await once(socket, 'open')
  socket.close()
  const result = thrown(() => { socket.send('late') })
  return [result, await events]
})
row('no message is delivered after close()', ['open 1', 'close 3 1005 "" true'], async ({ Socket, url }) => {
  const socket = new Socket(`${url}/echo`)
  const events = eventsOf(socket)
  await once(socket, 'open')
  socket.send('a')
  socket.close()
  return events
})
row('url and protocol stay after the end', [true, 'chat', 3], async ({ Socket, url }) => {
  const socket = new Socket(`${url}/close`, 'chat')
  await once(socket, 'close')
  return [socket.url === `${url}/close`, socket.protocol, socket.readyState]
})

// ——— handlers and listeners

row('handlers and listeners are called in the order in which they were added', ['first', 'handler', 'last'], async ({ Socket, url }) => {
  const order: string[] = []
  const socket = new Socket(`${url}/close`)
  socket.addEventListener('open', () => { order.push('first') })
  socket.onopen = () => { order.push('replaced') }
  socket.addEventListener('open', () => { order.push('last') })
  socket.onopen = () => { order.push('handler') }
  await once(socket, 'close')
  return order
})
row('a handler that was null comes last', ['listener', 'handler'], async ({ Socket, url }) => {
  const order: string[] = []
  const socket = new Socket(`${url}/close`)
  socket.onopen = () => { order.push('never') }
  socket.addEventListener('open', () => { order.push('listener') })
  socket.onopen = null
  socket.onopen = () => { order.push('handler') }
  await once(socket, 'close')
  return order
})
row('a handler is read back, with this and the event; what is no function is null', [true, null, [true, 'open', true]], async ({ Socket, url }) => {
  const socket = new Socket(`${url}/close`)
  const seen: unknown[] = []
  const handler = function (this: unknown, event: any) { seen.push(this === socket, event.type, event.currentTarget === socket) }
  socket.onopen = handler
  const same = socket.onopen === handler
  socket.onerror = 'text'
  await once(socket, 'close')
  return [same, socket.onerror, seen]
})
row('listeners: once, an object, the same twice, removed, aborted', ['object', 'once', 'twice', 'object', 'twice'], async ({ Socket, url }) => {
  const order: string[] = []
  const socket = new Socket(`${url}/close`)
  const aborted = new AbortController()
  const removed = () => { order.push('removed') }
  const twice = () => { order.push('twice') }
  socket.addEventListener('x', { handleEvent () { order.push('object') } })
  socket.addEventListener('x', () => { order.push('once') }, { once: true })
  socket.addEventListener('x', twice)
  socket.addEventListener('x', twice)
  socket.addEventListener('x', removed)
  socket.addEventListener('x', () => { order.push('aborted') }, { signal: aborted.signal })
  socket.removeEventListener('x', removed)
  aborted.abort()
  socket.dispatchEvent(new Event('x'))
  socket.dispatchEvent(new Event('x'))
  await once(socket, 'close')
  return order
})
row('stopImmediatePropagation() and preventDefault()', [['first'], false], async ({ Socket, url }) => {
  const order: string[] = []
  const socket = new Socket(`${url}/close`)
  socket.addEventListener('x', (event: Event) => {
    order.push('first')
    event.preventDefault()
    event.stopImmediatePropagation()
  })
  socket.addEventListener('x', () => { order.push('second') })
  const result = socket.dispatchEvent(new Event('x', { cancelable: true }))
  await once(socket, 'close')
  return [order, result]
})
row('a listener that is added in open hears what follows', ['message', 'close'], async ({ Socket, url }) => {
  const order: string[] = []
  const socket = new Socket(`${url}/burst`)
  socket.onopen = () => {
    socket.addEventListener('message', () => { order.push('message') }, { once: true })
    socket.onclose = () => { order.push('close') }
  }
  await once(socket, 'close')
  await new Promise((resolve) => { setTimeout(resolve) })
  return order
})

/** How long a row may take, milliseconds. */
const PATIENCE = 20_000

export interface Outcome { title: string, expected: string, observed: string }

/** Runs all rows over a class, a few at a time, but for those whose title matches: Chromium delays a handshake by 2 ** (handshakes in progress). */
export async function runContract (ground: Ground, except = /^$/): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  const queue = rows.filter(({ title }) => !except.test(title)).values()
  await Promise.all(Array.from({ length: 3 }, async () => {
    for (const { title, expected, observe } of queue) {
      const late = new Promise((resolve) => { setTimeout(resolve, PATIENCE, 'nothing in time') })
      const observed = await Promise.race([(async () => observe(ground))(), late]).catch((error: unknown) => `throws ${String(error)}`)
      outcomes.push({ title, expected: JSON.stringify(expected), observed: JSON.stringify(observed) })
    }
  }))
  return outcomes
}
