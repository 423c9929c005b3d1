/**
 * The opening handshake of a client (RFC 6455 §4.1), with the headers of a browser, which cost the server time and memory.
 */
import type { Dialect } from './control.ts'

const PATHS: Record<Dialect, string> = {
  plain: '/',
  socketio: '/socket.io/?EIO=4&transport=websocket'
}

/** Names and values in turn, as in the request. */
export function handshakeHeaders (port: number): string[] {
  return [
    'Host', `127.0.0.1:${port}`,
    'Connection', 'Upgrade',
    'Pragma', 'no-cache',
    'Cache-Control', 'no-cache',
    'User-Agent', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36',
    'Upgrade', 'websocket',
    'Origin', `http://127.0.0.1:${port}`,
    'Sec-WebSocket-Version', '13',
    'Accept-Encoding', 'gzip, deflate, br, zstd',
    'Accept-Language', 'en-US,en;q=0.9,de;q=0.8',
    'Cookie', 'session=c2Vzc2lvbi1vZi1hLWJyb3dzZXItbGlrZS1jbGllbnQ; theme=dark; consent=all',
    'Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Extensions', 'permessage-deflate; client_max_window_bits'
  ]
}

/** The whole request; the query is added to the path. */
export function handshakeRequest (port: number, dialect: Dialect, query = ''): string {
  const headers = handshakeHeaders(port)
  const path = PATHS[dialect]
  let request = `GET ${path}${query === '' ? '' : `${path.includes('?') ? '&' : '?'}${query}`} HTTP/1.1\r\n`
  for (let i = 0; i < headers.length; i += 2) request += `${headers[i]}: ${headers[i + 1]}\r\n`
  return `${request}\r\n`
}
