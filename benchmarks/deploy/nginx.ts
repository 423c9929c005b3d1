/**
 * nginx in front of several servers, with a configuration and a folder of its own.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Nginx {
  port: number
  stop (): Promise<void>
}

/** Starts nginx on a free port, and waits until it listens. Throws if it is not installed. */
export async function startNginx (servers: number[]): Promise<Nginx> {
  const command = findNginx()
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'nginx-'))
  writeFileSync(join(folder, 'nginx.conf'), configuration(port, servers))
  const child = spawn(command, ['-e', 'stderr', '-p', folder, '-c', 'nginx.conf'], { stdio: ['ignore', 'inherit', 'inherit'] })
  const exited = once(child, 'exit')
  // SIGTERM, because a master that is killed leaves its workers behind.
  const kill = () => { child.kill('SIGTERM') }
  process.on('exit', kill)
  const stop = async () => {
    kill()
    await exited
    process.off('exit', kill)
    rmSync(folder, { recursive: true, force: true })
  }
  while (!await listens(port)) {
    if (child.exitCode !== null) {
      await stop()
      throw new Error(`nginx ended with ${child.exitCode}`)
    }
    await sleep(20)
  }
  return { port, stop }
}

function findNginx (): string {
  // The folder of programs for administrators is not in every PATH.
  const found = ['nginx', '/usr/sbin/nginx', '/usr/local/sbin/nginx'].find((command) => spawnSync(command, ['-v'], { stdio: 'ignore' }).status === 0)
  if (found === undefined) throw new Error('nginx is not installed (Debian: apt-get install nginx-light)')
  return found
}

/** As in docs/guides/deploy.md: a client that a server refuses goes to the next one, and no server is taken for dead after its restart. */
function configuration (port: number, servers: number[]): string {
  return `daemon off;
pid nginx.pid;
error_log stderr emerg;
worker_processes 1;
events { worker_connections 16384; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream servers {
    ${servers.map((server) => `server 127.0.0.1:${server} max_fails=0;`).join('\n    ')}
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://servers;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_next_upstream error timeout http_503;
    }
  }
}
`
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function listens (port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => { resolve(false) })
  })
}
