// Sessions with @fastify/jwt: the token in a header, in a cookie, in a subprotocol (browsers cannot set headers), or in the
// first message. A connection closes when its token expires, continues with a new token, and closes at once when its user
// logs out.
//
//   node --import ./scripts/typescript.js examples/jwt.ts
//   curl -X POST localhost:3000/login/ann          a token; browsers also get it as a cookie

import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import type { FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import sockets, { CloseCode } from '../lib/index.ts'

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: { sub: string }
    /** Seconds since 1970 (RFC 7519). */
    user: { sub: string, exp: number }
  }
}

const tokenLifetime = process.env.TOKEN_LIFETIME ?? '15m'
const loginTime = 5_000
const bearer = 'bearer.'

const app = Fastify({ logger: { level: 'warn' } })

await app.register(cookie)
await app.register(jwt, {
  secret: process.env.JWT_SECRET ?? randomBytes(32),
  sign: { expiresIn: tokenLifetime },
  cookie: { cookieName: 'token', signed: false }
})
await app.register(sockets, {
  signals: true,
  // Called once, after the hooks of the route.
  owner: (request) => (request.user as FastifyRequest['user'] | undefined)?.sub,
  limits: { perOwner: { max: 5, policy: 'evict-oldest' } },
  // Browsers send the cookie with a handshake from any page.
  allowedOrigins: 'same-origin',
  options: {
    // The server must choose one of the offered subprotocols, or the browser gives up. It must not be the token, because the
    // answer contains the choice.
    handleProtocols: (offered: Set<string>) => [...offered].find((name) => !name.startsWith(bearer)) ?? false
  }
})

// ——— logging in and out

app.post<{ Params: { user: string } }>('/login/:user', async ({ params: { user } }, reply) => {
  const token = app.jwt.sign({ sub: user })
  return await reply.setCookie('token', token, { path: '/', httpOnly: true, sameSite: 'strict' }).send({ token })
})

app.post('/logout', { onRequest: verifyRequest }, async (request) => {
  // The token stays valid until it expires, but its connections close now.
  return { closed: app.sockets.disconnect({ owner: request.user.sub }, { reason: 'logged out' }) }
})

// ——— before the handshake: the header `authorization: Bearer <token>`, or the cookie

app.get('/chat', { websocket: true, onRequest: verifyRequest }, (socket, request) => { welcome(socket, request.user) })

// ——— before the handshake: new WebSocket(url, ['chat', 'bearer.' + token])

app.get('/browser', { websocket: true, onRequest: verifySubprotocol }, (socket, request) => { welcome(socket, request.user) })

// ——— after it: the first message is {"token": …}

app.get('/late', { websocket: true }, (socket) => {
  // The client must send its token by then.
  app.sockets.of(socket).expiresAt = Date.now() + loginTime
  converse(socket)
})

async function verifyRequest (request: FastifyRequest): Promise<void> {
  await request.jwtVerify()
}

async function verifySubprotocol (request: FastifyRequest): Promise<void> {
  const offered = request.headers['sec-websocket-protocol']?.split(',').map((name) => name.trim()) ?? []
  const token = offered.find((name) => name.startsWith(bearer))?.slice(bearer.length) ?? ''
  request.user = verify(token)
}

/** Throws an error that is answered with 401. */
function verify (token: string): FastifyRequest['user'] {
  try {
    return app.jwt.verify(token)
  } catch (error) {
    throw Object.assign(error as Error, { statusCode: 401 })
  }
}

function welcome (socket: WebSocket, { sub, exp }: FastifyRequest['user']): void {
  app.sockets.of(socket).expiresAt = exp * 1_000
  converse(socket)
  socket.send(`hello ${sub}`)
}

/** Echoes messages; a message {"token": …} sets a new token. */
function converse (socket: WebSocket): void {
  const connection = app.sockets.of(socket)
  socket.on('message', (message) => {
    const text = (message as Buffer).toString()
    if (text.startsWith('{"token":')) return renew(socket, text)
    if (connection.owner === undefined) void connection.close(CloseCode.Unauthorized, 'say who you are first')
    else socket.send(`${connection.owner}: ${text}`)
  })
}

function renew (socket: WebSocket, text: string): void {
  const connection = app.sockets.of(socket)
  try {
    const { token } = JSON.parse(text) as { token: string }
    const { sub, exp } = verify(token)
    // A token of another user does not renew this session.
    if (connection.owner !== undefined && connection.owner !== sub) throw new Error('another user')
    // False above limits.perOwner: the connection is closing then.
    if (!connection.setOwner(sub)) return
    connection.expiresAt = exp * 1_000
    socket.send(`hello ${sub}, until ${new Date(exp * 1_000).toISOString()}`)
  } catch {
    void connection.close(CloseCode.Unauthorized, 'not a valid token')
  }
}

await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`Listening on port ${(app.server.address() as AddressInfo).port}`)
