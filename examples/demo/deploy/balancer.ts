// A load balancer of TCP connections: it passes each new one to the server that is ready at that moment, which main.ts names.
// Connections that are open stay where they are until one end closes.

import { connect, createServer, type AddressInfo } from 'node:net'
import type { FromServer, ToBalancer } from '../protocol.ts'

let target = 0
process.on('message', (order: ToBalancer) => { target = order.target })
process.once('disconnect', () => { process.exit() })
process.on('SIGINT', () => {}) // main.ts handles it for all.

const balancer = createServer((client) => {
  const server = connect(target, '127.0.0.1')
  client.pipe(server).pipe(client)
  // Errors are passed on as what they are for the other side: the end of the connection.
  client.on('error', () => {}).on('close', () => server.destroy())
  server.on('error', () => {}).on('close', () => client.destroy())
})
balancer.listen(0, '127.0.0.1', () => {
  process.send!({ type: 'listening', port: (balancer.address() as AddressInfo).port } satisfies FromServer)
})
