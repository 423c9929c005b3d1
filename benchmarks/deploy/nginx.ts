/**
 * nginx in front of several servers.
 */
import { startProxy } from './proxy.ts'
import type { Proxy } from './proxy.ts'

/** Starts nginx on a free port, and waits until it listens. Throws if it is not installed. */
export function startNginx (servers: number[]): Promise<Proxy> {
  return startProxy({
    name: 'nginx',
    from: 'nginx-light',
    args: (folder, file) => ['-e', 'stderr', '-p', folder, '-c', file],
    configuration: (port) => configuration(port, servers)
  })
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
