/**
 * Clients that come back as soon as they are closed, and count how often that was.
 */
import { Peer } from '../load/peer.ts'
import type { PeerHost } from '../load/peer.ts'
import { answer } from '../rpc.ts'

/** Handshakes under way at a time. */
const PARALLEL = 32

export interface ReturningControl {
  /** Opens a connection for each owner. */
  open (port: number, owners: string[]): Promise<void>
  /** How many owners were closed so often: index 0: never. */
  closed (): number[]
}

interface Client { port: number, owner: string, closed: number }

const clients = new Map<Peer, Client>()
const all: Client[] = []
let opened = () => {}

const host: PeerHost = {
  opened () { opened() },
  data () {},
  pinged () {},
  left (peer) {
    const client = clients.get(peer)!
    clients.delete(peer)
    client.closed++
    connect(client)
  }
}

function connect (client: Client): void {
  clients.set(new Peer(host, client.port, 'plain', false, `owner=${client.owner}`), client)
}

answer<ReturningControl>({
  async open (port, owners) {
    const waiting = [...owners]
    let toOpen = owners.length
    await new Promise<void>((resolve) => {
      const next = () => {
        const owner = waiting.pop()
        if (owner === undefined) return
        const client = { port, owner, closed: 0 }
        all.push(client)
        connect(client)
      }
      opened = () => {
        if (--toOpen === 0) resolve()
        else next()
      }
      for (let i = 0; i < PARALLEL; i++) next()
    })
    opened = () => {}
  },
  closed () {
    const numbers: number[] = [0, 0]
    for (const { closed } of all) numbers[closed] = (numbers[closed] ?? 0) + 1
    return numbers
  }
})
