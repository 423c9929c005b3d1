/**
 * Games with the close handshake: another code in answer, data after the frame, TCP that is never finished. Each ends
 * with the count of what is left beside the healthy client.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createClock } from '../../lib/testing/clock.ts'
import { maskedFrame, Opcode, passUntil, rawConnect, until } from '../helpers/server.ts'
import type { RawClient } from '../helpers/server.ts'
import { ground } from './ground.ts'
import type { Ground } from './ground.ts'

const manyOf = (text: string) => Array.from({ length: 500 }, () => maskedFrame(Opcode.Text, text))

/** Made once, and written at once: what a client takes to make its frames is time in which the server cannot read them. */
const BURST = Buffer.concat([...manyOf('before'), maskedFrame(Opcode.Close, Buffer.from([3, 232])), ...manyOf('after')])

/** How an attacker answers our close frame: what it does, and whether the close may be called clean. */
const GAMES: Array<[what: string, clean: boolean | undefined, play: (client: RawClient) => void]> = [
  ['another code', true, (client) => { client.sendClose(4999, 'no, you') }],
  ['no code', true, (client) => { client.sendClose() }],
  ['a code that must not be sent', undefined, (client) => { client.sendClose(1006) }],
  ['a reason that is no UTF-8', undefined, (client) => { client.send(Opcode.Close, Buffer.from([3, 232, 0xff, 0xff])) }],
  ['two frames', true, (client) => { client.sendClose(1000); client.sendClose(4000, 'again') }],
  ['messages before and after its frame', true, (client) => { client.write(BURST) }],
  ['pings for ever', false, (client) => {
    const pings = setInterval(() => { if (client.socket.destroyed) clearInterval(pings); else client.send(Opcode.Ping, 'alive') }, 10)
  }],
  ['half a frame', false, (client) => { client.write(Buffer.from([0x88, 0x82, 1])) }],
  ['a message that never ends', false, (client) => { client.send(Opcode.Text, 'x', { fin: false }) }],
  ['nothing at all', false, () => {}],
  ['the end of TCP alone', false, (client) => { client.end() }],
  ['nothing, and reads nothing', false, (client) => { client.pause() }]
]

for (const [what, clean, play] of GAMES) {
  it(`a peer that answers our close frame with ${what} is gone within closeTimeout`, async (t) => {
    const clock = createClock()
    const attack = await ground(t, { clock })
    const clients = await Promise.all(Array.from({ length: 20 }, () => rawConnect(t, attack.app, '/quiet')))
    for (const connection of attack.app.sockets.list({ route: '/quiet' })) void connection.close(4000, 'enough')
    await Promise.all(clients.map((client) => client.closeFrame()))
    for (const client of clients) play(client)
    // What they have sent is read before any time passes.
    await attack.echo()
    await passUntil(clock, () => attack.app.sockets.size === 1)
    await over(attack, clients)
    for (const record of attack.app.sockets.history) {
      assert.deepEqual([record.cause, record.code, record.reason], ['application', 4000, 'enough'])
      if (clean !== undefined) assert.equal(record.clean, clean)
      assert.equal(record.messages, 0)
    }
    await attack.restored()
  })
}

it('a peer that closes first and then never finishes TCP is gone within closeTimeout', async (t) => {
  const attack = await ground(t)
  const clients = await Promise.all(Array.from({ length: 50 }, () => rawConnect(t, attack.app, '/quiet')))
  for (const client of clients) {
    client.sendClose(4321, 'bye')
    client.send(Opcode.Text, 'after')
    // Neither reads our answer nor our FIN.
    client.pause()
  }
  await over(attack, clients)
  for (const record of attack.app.sockets.history) assert.deepEqual([record.cause, record.code, record.messages], ['client', 4321, 0])
  await attack.restored()
})

it('peers that play in a drain do not hold it', async (t) => {
  const attack = await ground(t, { drain: { timeout: 3_000 } })
  const clients = await Promise.all(Array.from({ length: 60 }, () => rawConnect(t, attack.app, '/quiet')))
  await attack.echo()
  const drained = attack.app.sockets.drain()
  await Promise.all(clients.map(async (client, i) => {
    await client.closeFrame()
    GAMES[i % GAMES.length]![2](client)
  }))
  const report = await drained
  assert.equal(report.connections.total, 61)
  assert.equal(report.connections.unfinished, 0)
  assert.equal(attack.app.sockets.size, 0)
})

it('messages that came in with a close frame are not delivered after it', async (t) => {
  const seen: string[] = []
  const attack = await ground(t, {}, {
    configure: (app) => { app.get('/seen', { websocket: true }, (socket) => { socket.on('message', (data: Buffer) => { seen.push(data.toString()) }) }) }
  })
  const client = await rawConnect(t, attack.app, '/seen')
  client.socket.cork()
  client.send(Opcode.Text, 'before')
  client.sendClose(1000)
  client.send(Opcode.Text, 'after')
  client.socket.uncork()
  await client.closeFrame()
  await over(attack, [client])
  assert.deepEqual(seen, ['before'])
  await attack.restored()
})

/** Waits until the server has none of them, and lets go of them too. */
async function over (attack: Ground, clients: RawClient[]): Promise<void> {
  await until(() => attack.app.sockets.size === 1, 'the server to let go')
  await attack.echo()
  for (const client of clients) client.destroy()
}
