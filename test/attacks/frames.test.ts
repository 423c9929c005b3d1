/**
 * Attacks with frames: floods of pings and messages, messages that never end, frames too large, compression bombs, and
 * what breaks the protocol. Each ends with the count of what is left beside the healthy client.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import { maskedFrame, Opcode, rawConnect, until } from '../helpers/server.ts'
import type { RawClient } from '../helpers/server.ts'
import { ground } from './ground.ts'
import type { Ground } from './ground.ts'

const KIB = 1024

it('a flood of pings whose pongs are not read ends its own connection', async (t) => {
  const attack = await ground(t)
  const client = await rawConnect(t, attack.app, '/echo')
  client.pause()
  const block = Buffer.concat(Array.from({ length: 500 }, () => maskedFrame(Opcode.Ping, Buffer.alloc(125))))
  await pour(attack, client, block)
  await gone(attack, client)
  assert.equal(attack.app.sockets.history.at(-1)!.cause, 'slow')
  await attack.restored()
})

it('a flood of pings whose pongs are read is answered, and starves no other connection', async (t) => {
  const attack = await ground(t)
  const client = await rawConnect(t, attack.app, '/echo')
  const block = Buffer.concat(Array.from({ length: 40 }, () => maskedFrame(Opcode.Ping, 'x')))
  let pongs = 0
  client.socket.on('data', () => { pongs += client.frames.splice(0).length })
  for (let i = 0; i < 250; i++) {
    client.write(block)
    await until(() => pongs === 40 * (i + 1), 'pongs')
    if (i % 50 === 0) await attack.echo()
  }
  await leave(attack, client)
  await attack.restored()
})

it('many pings that are read at once, after a stall, are all answered, and the client stays', async (t) => {
  const attack = await ground(t)
  const client = await rawConnect(t, attack.app, '/echo')
  for (const pings of [61, 1_000, 5_000]) {
    client.write(Buffer.concat(Array.from({ length: pings }, () => maskedFrame(Opcode.Ping, 'x'))))
    // The event loop stands still while they arrive.
    const end = performance.now() + 300
    while (performance.now() < end);
    await until(() => client.frames.length === pings, 'pongs')
    assert.ok(client.frames.splice(0).every(({ opcode }) => opcode === Opcode.Pong))
    await attack.echo()
  }
  await leave(attack, client)
  await attack.restored()
})

it('a flood of messages is closed with 1008 where there is a rate', async (t) => {
  const attack = await ground(t, {}, {
    configure: (app) => {
      app.get('/metered', { websocket: true, config: { sockets: { messageRate: { max: 100, burst: 50 } } } }, (socket) => {
        socket.on('message', (data) => { seen++; socket.send(data as Buffer) })
      })
    }
  })
  let seen = 0
  const block = Buffer.concat(Array.from({ length: 2_000 }, () => maskedFrame(Opcode.Text, 'flood')))
  const clients = await Promise.all(Array.from({ length: 20 }, () => rawConnect(t, attack.app, '/metered')))
  await Promise.all(clients.map(async (client) => {
    const poured = pour(attack, client, block, 50)
    assert.equal((await client.closeFrame()).code, 1008)
    await poured
    await gone(attack, client)
  }))
  // 50 at once, and as many as the time of the test paid for, on each of the 20; the flood was 2,000 at least.
  assert.ok(seen < 20 * 1_000, `${seen} messages were delivered`)
  await attack.restored()
})

it('a flood of messages is held back by TCP where the rate pauses, and ends when its client goes', async (t) => {
  const attack = await ground(t, {}, {
    configure: (app) => {
      app.get('/paused', { websocket: true, config: { sockets: { messageRate: { max: 100, burst: 50, policy: 'pause' } } } }, (socket) => {
        socket.on('message', () => {})
      })
    }
  })
  const block = Buffer.concat(Array.from({ length: 500 }, () => maskedFrame(Opcode.Binary, Buffer.alloc(16 * KIB))))
  const clients = await Promise.all(Array.from({ length: 4 }, () => rawConnect(t, attack.app, '/paused')))
  for (const client of clients) client.write(block)
  await attack.echo()
  await until(() => clients.every(({ socket }) => socket.writableLength > 0), 'TCP to push back')
  await attack.echo()
  for (const client of clients) client.reset()
  await attack.restored()
})

it('a flood of echoes that are not read is closed with cause slow at the byte cap', async (t) => {
  const attack = await ground(t, { backpressure: { maxBufferedBytes: 256 * KIB } })
  const client = await rawConnect(t, attack.app, '/echo')
  client.pause()
  const most = watchBuffered(attack)
  await pour(attack, client, Buffer.concat(Array.from({ length: 16 }, () => maskedFrame(Opcode.Binary, Buffer.alloc(32 * KIB)))))
  await gone(attack, client)
  assert.equal(attack.app.sockets.history.at(-1)!.cause, 'slow')
  assert.ok(most() < 256 * KIB + 128 * KIB, `${most()} bytes waited`)
  await attack.restored()
})

it('a fragmented message that never ends is refused at maxPayload, 1009', async (t) => {
  const attack = await ground(t, { options: { maxPayload: 64 * KIB } })
  const client = await rawConnect(t, attack.app, '/echo')
  client.send(Opcode.Text, 'a'.repeat(KIB), { fin: false })
  const poured = pour(attack, client, maskedFrame(Opcode.Continuation, 'a'.repeat(KIB), { fin: false }))
  assert.equal((await client.closeFrame()).code, 1009)
  await poured
  await gone(attack, client)
  assert.equal(attack.app.sockets.history.at(-1)!.cause, 'protocol')
  await attack.restored()
})

it('a message of empty fragments that never ends is refused by ws, 1008', async (t) => {
  const attack = await ground(t)
  const client = await rawConnect(t, attack.app, '/echo')
  client.send(Opcode.Text, '', { fin: false })
  const poured = pour(attack, client, Buffer.concat(Array.from({ length: 1_000 }, () => maskedFrame(Opcode.Continuation, '', { fin: false }))), 100)
  assert.equal((await client.closeFrame()).code, 1008)
  await poured
  await gone(attack, client)
  await attack.restored()
})

it('a message sent a byte at a time for ever is not idle time, and its memory is bounded', async (t) => {
  // Bytes are not messages: a client that finishes no message is idle.
  const attack = await ground(t, { options: { maxPayload: 64 * KIB } }, {
    configure: (app) => { app.get('/idle', { websocket: true, config: { sockets: { idleTimeout: 500 } } }, (socket) => { socket.on('message', () => {}) }) }
  })
  const client = await rawConnect(t, attack.app, '/idle')
  const frame = maskedFrame(Opcode.Text, 'a'.repeat(60 * KIB))
  let sent = 0
  const trickle = setInterval(() => { if (!client.socket.destroyed && sent < frame.length - 1) client.write(frame.subarray(sent, ++sent)) }, 5)
  t.after(() => { clearInterval(trickle) })
  assert.equal((await client.closeFrame()).code, 3008)
  clearInterval(trickle)
  await gone(attack, client)
  await attack.restored()
})

it('frames larger than maxPayload are refused by their head alone, before their bytes are kept', async (t) => {
  const attack = await ground(t, { options: { maxPayload: 64 * KIB } })
  const heads = [
    Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4]),
    Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]),
    Buffer.from([0x82, 0xff, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]),
    Buffer.from([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4])
  ]
  for (let i = 0; i < 200; i++) {
    const client = await rawConnect(t, attack.app, '/echo')
    client.write(heads[i % heads.length]!)
    assert.equal((await client.closeFrame()).code, 1009)
    client.destroy()
  }
  await attack.restored()
})

it('compression bombs are refused at maxPayload while they inflate, 1009', async (t) => {
  const attack = await ground(t, { options: { maxPayload: 64 * KIB, perMessageDeflate: true } })
  // 256 MiB in 256 KiB; made piece by piece, as zlib makes the same of each.
  const piece = deflateRawSync(Buffer.alloc(16 * KIB * KIB), { finishFlush: 2 })
  const bomb = maskedFrame(Opcode.Binary, Buffer.concat(Array.from({ length: 16 }, () => piece)).subarray(0, -4), { rsv: 4 })
  const clients = await Promise.all(Array.from({ length: 30 }, () => rawConnect(t, attack.app, '/echo', { 'Sec-WebSocket-Extensions': 'permessage-deflate' })))
  await attack.echo()
  const before = process.memoryUsage.rss()
  let most = before
  const watch = setInterval(() => { most = Math.max(most, process.memoryUsage.rss()) }, 2)
  t.after(() => { clearInterval(watch) })
  await Promise.all(clients.map(async (client) => {
    client.write(bomb)
    assert.equal((await client.closeFrame()).code, 1009)
    await gone(attack, client, false)
  }))
  clearInterval(watch)
  // All of them whole would be 7.5 GiB.
  assert.ok(most - before < 400 * KIB * KIB, `the process grew by ${Math.round((most - before) / KIB / KIB)} MiB`)
  await attack.restored()
})

it('compressed bytes that are no deflate end their own connection', async (t) => {
  const attack = await ground(t, { options: { perMessageDeflate: true } })
  for (let i = 0; i < 50; i++) {
    const client = await rawConnect(t, attack.app, '/echo', { 'Sec-WebSocket-Extensions': 'permessage-deflate' })
    client.send(Opcode.Text, Buffer.from([0xff, i, 0xfe, 0xfd, 0xfc]), { rsv: 4 })
    const { code } = await client.closeFrame()
    assert.ok(code === 1007 || code === 1002, `closed with ${code}`)
    client.destroy()
  }
  await attack.restored()
})

it('a breach that comes out of the inflater after its client has reset is the client\'s, not an error of ours', async (t) => {
  const attack = await ground(t, { options: { perMessageDeflate: true } })
  const piece = deflateRawSync(Buffer.alloc(KIB * KIB), { finishFlush: 2 })
  for (let i = 0; i < 40; i++) {
    const client = await rawConnect(t, attack.app, '/quiet', { 'Sec-WebSocket-Extensions': 'permessage-deflate' })
    client.write(Buffer.concat([maskedFrame(Opcode.Binary, piece.subarray(0, -4), { rsv: 4 }), maskedFrame(Opcode.Close, Buffer.from([3, 237]))]))
    await new Promise((resolve) => { setImmediate(resolve) })
    client.reset()
  }
  await until(() => attack.app.sockets.size === 1)
  for (const { cause } of attack.app.sockets.history) assert.ok(['protocol', 'network'].includes(cause), cause)
  assert.deepEqual(attack.lines.filter(({ level }) => level > 40), [])
  await attack.restored()
})

it('breaches of the protocol are closed with the code the RFC has for them', async (t) => {
  const attack = await ground(t)
  const close = (...bytes: number[]) => maskedFrame(Opcode.Close, Buffer.from(bytes))
  const breaches: Array<[what: string, code: number, bytes: Buffer]> = [
    ['text that is no UTF-8', 1007, maskedFrame(Opcode.Text, Buffer.from([0xc3, 0x28]))],
    ['text that is no UTF-8 across fragments', 1007, Buffer.concat([maskedFrame(Opcode.Text, Buffer.from([0xf0, 0x9f]), { fin: false }), maskedFrame(Opcode.Continuation, Buffer.from([0x28]))])],
    ['a surrogate', 1007, maskedFrame(Opcode.Text, Buffer.from([0xed, 0xa0, 0x80]))],
    ['a reason that is no UTF-8', 1007, close(3, 232, 0xff, 0xfe)],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, number, Buffer] => [`opcode ${opcode}`, 1002, maskedFrame(opcode, 'x')]),
    ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map((code): [string, number, Buffer] => [`close code ${code}`, 1002, close(code >> 8, code & 255)]),
    ['a close frame of one byte', 1002, close(3)],
    ['a continuation of nothing', 1002, maskedFrame(Opcode.Continuation, 'x')],
    ['a message inside a message', 1002, Buffer.concat([maskedFrame(Opcode.Text, 'x', { fin: false }), maskedFrame(Opcode.Text, 'x')])],
    ['a ping in fragments', 1002, maskedFrame(Opcode.Ping, 'x', { fin: false })],
    ['a ping of 126 bytes', 1002, maskedFrame(Opcode.Ping, 'x'.repeat(126))],
    ['a reserved bit', 1002, maskedFrame(Opcode.Text, 'x', { rsv: 2 })],
    ['compression that was not agreed on', 1002, maskedFrame(Opcode.Text, 'x', { rsv: 4 })],
    ['a frame without a mask', 1002, Buffer.from([0x81, 0x01, 0x78])]
  ]
  for (const [what, wanted, bytes] of breaches) {
    const client = await rawConnect(t, attack.app, '/echo')
    client.write(bytes)
    // Whatever follows is not looked at.
    client.send(Opcode.Text, 'after')
    assert.equal((await client.closeFrame()).code, wanted, what)
    await gone(attack, client)
    assert.equal(attack.app.sockets.history.at(-1)!.cause, 'protocol', what)
  }
  await attack.restored()
})

/** Writes a block again and again, as fast as TCP takes it, until the connection ends. */
async function pour (attack: Ground, { socket }: RawClient, block: Buffer, most = 20_000): Promise<void> {
  for (let i = 0; i < most && !socket.destroyed && attack.app.sockets.size > 1; i++) {
    const taken = socket.write(block)
    await new Promise<void>((resolve) => {
      if (taken) {
        setImmediate(resolve)
        return
      }
      const timer = setTimeout(resolve, 20)
      socket.once('drain', () => { clearTimeout(timer); resolve() })
    })
  }
}

/** Waits until the server has let go of it, and lets go too. */
async function gone (attack: Ground, client: RawClient, alone = true): Promise<void> {
  // Or it would never see its end.
  client.resume()
  await client.ended
  client.destroy()
  if (alone) await until(() => attack.app.sockets.history.length > 0)
}

/** The client goes. */
async function leave (attack: Ground, client: RawClient): Promise<void> {
  client.reset()
  await until(() => attack.app.sockets.size === 1)
}

/** The most bytes that waited on one socket, looked at every millisecond. */
function watchBuffered (attack: Ground): () => number {
  let most = 0
  const look = setInterval(() => {
    for (const { bufferedAmount } of attack.app.websocketServer.clients) most = Math.max(most, bufferedAmount)
  }, 1)
  look.unref()
  return () => { clearInterval(look); return most }
}
