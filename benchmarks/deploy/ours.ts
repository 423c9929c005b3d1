/**
 * Rooms with this plugin. The first argument is the folder of the built library.
 */
import Fastify from 'fastify'
import { loadPlugin } from '../servers/plugin.ts'
import { serveRooms } from './room-server.ts'

const plugin = await loadPlugin(process.argv[2]!)
const app = Fastify()
// As in the guide to deploys: the time until SIGKILL. Other servers take over meanwhile.
await app.register(plugin, { signals: true, drain: { terminationGracePeriod: 30_000 } })

serveRooms(app, {
  join (socket, room) { app.sockets.of(socket).tag(room) },
  publish: (room, text) => app.sockets.broadcast(text, { tag: room })
})
