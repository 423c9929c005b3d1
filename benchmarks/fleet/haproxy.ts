/**
 * HAProxy in front of several servers.
 */
import { startProxy } from '../deploy/proxy.ts'
import type { Proxy } from '../deploy/proxy.ts'

/** Time between two health checks, milliseconds; the second that fails takes a server out. */
export const CHECK = 1_000

/** Starts HAProxy on a free port, and waits until it listens. Throws if it is not installed. */
export function startHaproxy (servers: number[]): Promise<Proxy> {
  return startProxy({
    name: 'haproxy',
    from: 'haproxy',
    args: (_folder, file) => ['-db', '-q', '-f', file],
    configuration: (port) => configuration(port, servers)
  })
}

/** As in docs/guides/deploy.md: a client goes to another server when its own has gone, and to none that says it is not ready. */
function configuration (port: number, servers: number[]): string {
  return `global
  # Each client takes two files.
  no strict-limits
  maxconn 9600
defaults
  mode http
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  timeout tunnel 1h
frontend clients
  bind 127.0.0.1:${port}
  default_backend servers
backend servers
  balance leastconn
  option redispatch
  option httpchk GET /ready
  ${servers.map((server) => `server s${server} 127.0.0.1:${server} check inter ${CHECK} fall 2`).join('\n  ')}
`
}
