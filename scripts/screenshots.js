// Takes the screenshots of the page in docs/guides/page/: each view, in the light and in the dark theme. Needs Chromium.
//
//   npm run screenshots
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync, inflateSync } from 'node:zlib'
import './typescript.js'

const [{ default: Fastify }, { default: sockets }, { default: page }, { connect, createFleet }, { startPage }] = await Promise.all([
  import('fastify'), import('../lib/index.ts'), import('../lib/show/page/index.ts'), import('../lib/testing/index.ts'), import('../test/helpers/browser.ts')
])

const FOLDER = join(import.meta.dirname, '../docs/guides/page')
const SIZE = { width: 960, height: 600, deviceScaleFactor: 1, mobile: false }
const NAMES = ['ada', 'grace', 'linus', 'margaret', 'dennis', 'barbara', 'ken', 'radia', 'tim', 'frances']

const ends = []
const atEnd = { after: (end) => { ends.unshift(end) } }
const app = Fastify()
await app.register(sockets, { owner: (request) => request.query.user, history: { keep: ['owner'] }, drain: { terminationGracePeriod: 30_000, settleDelay: 2_000 } })
app.get('/chat/:room', { websocket: true }, (socket, request) => {
  const connection = app.sockets.of(socket)
  connection.tag(`room:${request.params.room}`)
  socket.on('message', () => { socket.send('a reply') })
})
app.get('/jobs', { websocket: true }, (socket) => {
  const connection = app.sockets.of(socket)
  connection.tag('jobs')
  for (const name of ['export of invoices', 'video of the meeting']) connection.track(new Promise((resolve) => { setTimeout(resolve, 20_000).unref() }), name).catch(() => {})
})
await app.register(page, { prefix: '/ops', unprotected: true, actions: ['disconnect', 'drain'] })

const clients = []
for (let i = 0; i < 64; i++) {
  const room = ['lobby', 'support', 'random'][i % 3]
  clients.push(await connect(app, i % 9 === 8 ? `/jobs?user=${NAMES[i % 10]}` : `/chat/${room}?user=${NAMES[i % 10]}`))
  for (let sent = i * 7 % 5; sent > 0; sent--) clients[i].send('a message')
}
for (const [index, code] of [1000, 1001, 4000, 1000].entries()) await clients[index].close(code, ['done', '', 'signed out', 'done'][index])
clients[5].socket.terminate()
app.sockets.disconnect({ owner: 'ken' }, { reason: 'account closed', by: 'ops', why: 'ticket 4711' })
await new Promise((resolve) => { setTimeout(resolve, 500) })

const shown = app.sockets.history.find(({ cause }) => cause === 'disconnected').id
// Three more servers, which are a fleet; one of them leaves.
const fleet = createFleet()
const others = []
for (let i = 0; i < 3; i++) {
  const other = Fastify()
  await other.register(sockets, { fleet, owner: (request) => request.query.user, drain: { terminationGracePeriod: 30_000, reconnect: { rate: 8 } } })
  other.get('/chat/:room', { websocket: true }, (socket, request) => { other.sockets.of(socket).tag(`room:${request.params.room}`) })
  await other.register(page, { prefix: '/ops', unprotected: true, actions: ['disconnect'] })
  others.push(other)
  for (let j = 0; j < 40 + 7 * i; j++) await connect(other, `/chat/${['lobby', 'support', 'random'][j % 3]}?user=${NAMES[j % 10]}`)
}

const address = `http://127.0.0.1:${app.server.address().port}/ops`
const browser = await startPage(atEnd)
await browser.call('Emulation.setDeviceMetricsOverride', SIZE)
mkdirSync(FOLDER, { recursive: true })
for (const [name, query] of [['connections', '?q=room&sort=owner'], ['connection', `?id=${shown}`], ['history', '?view=history'], ['routes', '?view=routes']]) await take(name, query)
others[2].sockets.drain().catch(() => {})
await new Promise((resolve) => { setTimeout(resolve, 2_500) })
for (const [name, query] of [['nodes', '?view=nodes'], ['fleet', '?view=fleet&owner=ada']]) await take(name, query, `http://127.0.0.1:${others[0].server.address().port}/ops`)
app.sockets.drain().catch(() => {})
await new Promise((resolve) => { setTimeout(resolve, 4_000) })
await take('drain', '?view=drain')
for (const end of ends) await end()
process.exit()

async function take (name, query, of = address) {
  await browser.goto(of + query)
  for (const theme of ['light', 'dark']) {
    await browser.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: theme }] })
    await browser.evaluate('new Promise(requestAnimationFrame)')
    const { data } = await browser.call('Page.captureScreenshot', { format: 'png', optimizeForSpeed: false })
    writeFileSync(join(FOLDER, `${name}-${theme}.png`), withPalette(Buffer.from(data, 'base64')))
  }
}

/** A PNG of the same picture with 256 colours, a third as large; the rarer colours become the nearest of these. */
function withPalette (png) {
  const chunks = []
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) chunks.push([png.toString('latin1', at + 4, at + 8), png.subarray(at + 8, at + 8 + png.readUInt32BE(at))])
  const [[, header]] = chunks
  const [width, height, channels] = [header.readUInt32BE(0), header.readUInt32BE(4), header[9] === 6 ? 4 : 3]
  const pixels = unfilter(inflateSync(Buffer.concat(chunks.filter(([type]) => type === 'IDAT').map(([, data]) => data))), width * channels, height, channels)

  const counts = new Map()
  const colourAt = (pixel) => pixels.readUIntBE(pixel * channels, 3)
  for (let pixel = 0; pixel < width * height; pixel++) counts.set(colourAt(pixel), (counts.get(colourAt(pixel)) ?? 0) + 1)
  const palette = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([colour]) => colour)
  const indexes = new Map(palette.map((colour, index) => [colour, index]))
  const distance = (a, b) => Math.abs((a >> 16) - (b >> 16)) + Math.abs((a >> 8 & 255) - (b >> 8 & 255)) + Math.abs((a & 255) - (b & 255))
  for (const colour of counts.keys()) {
    if (!indexes.has(colour)) indexes.set(colour, palette.reduce((nearest, other, index) => distance(colour, other) < distance(colour, palette[nearest]) ? index : nearest, 0))
  }

  const rows = Buffer.alloc((width + 1) * height)
  for (let pixel = 0; pixel < width * height; pixel++) rows[pixel + Math.floor(pixel / width) + 1] = indexes.get(colourAt(pixel))
  const colours = Buffer.alloc(palette.length * 3)
  for (const [index, colour] of palette.entries()) colours.writeUIntBE(colour, index * 3, 3)
  const head = Buffer.from(header)
  head[8] = 8
  head[9] = 3
  return Buffer.concat([png.subarray(0, 8), chunk('IHDR', head), chunk('PLTE', colours), chunk('IDAT', deflateSync(rows, { level: 9 })), chunk('IEND', Buffer.alloc(0))])
}

/** Undoes the filters of the rows (PNG, third edition, §9.2). */
function unfilter (data, stride, height, channels) {
  const pixels = Buffer.alloc(stride * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < stride; x++) {
      const left = x < channels ? 0 : pixels[y * stride + x - channels]
      const above = y === 0 ? 0 : pixels[(y - 1) * stride + x]
      const corner = x < channels || y === 0 ? 0 : pixels[(y - 1) * stride + x - channels]
      const estimate = left + above - corner
      const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - above), Math.abs(estimate - corner)]
      const predicted = [0, left, above, (left + above) >> 1, a <= b && a <= c ? left : b <= c ? above : corner][data[y * (stride + 1)]]
      pixels[y * stride + x] = data[y * (stride + 1) + 1 + x] + predicted
    }
  }
  return pixels
}

function chunk (type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const chunk = Buffer.alloc(body.length + 8)
  chunk.writeUInt32BE(data.length)
  body.copy(chunk, 4)
  chunk.writeUInt32BE(crc32(body), body.length + 4)
  return chunk
}

/** zlib.crc32 of newer versions of Node.js. */
function crc32 (data) {
  let crc = -1
  for (const byte of data) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc >>> 1 ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return ~crc >>> 0
}
