/**
 * A network namespace of Linux with a cable to it, whose packets can be dropped from one moment on.
 *
 * Needs root, and the programs ip and iptables. A test has `skip: noNamespace()`.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import type { Scope } from './scope.ts'

const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`

/** Runs a command; returns what it complains of, or false when it succeeded. */
function failure (command: string, ...args: string[]): string | false {
  const { status, error, stderr } = spawnSync(command, args, { env: { ...process.env, PATH }, encoding: 'utf8', timeout: 10_000 })
  return status !== 0 && `${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`
}

function run (command: string, ...args: string[]): void {
  assert.equal(failure(command, ...args), false)
}

export class Namespace {
  /** Addresses of both ends of the cable. The network is one for measurements (RFC 2544), never routed. */
  readonly near: string
  readonly far: string
  readonly #name: string
  readonly #ends: [near: string, far: string]

  constructor (name: string) {
    const id = process.pid
    this.#name = `${name}-${id}`
    this.#ends = [`sk${id}a`, `sk${id}b`]
    this.near = `198.18.${id & 255}.1`
    this.far = `198.18.${id & 255}.2`
  }

  /** How a program of Node is forked in the namespace. */
  get fork () {
    return { execPath: 'ip', execArgv: this.#inside(process.execPath), env: { PATH } }
  }

  /** Returns why a namespace cannot be made here, or false. */
  unable (): string | false {
    try {
      const reason = failure('ip', 'netns', 'add', this.#name) || failure('ip', ...this.#inside('iptables', '-A', 'INPUT', '-j', 'ACCEPT'))
      return reason && `this machine permits no network namespace of ours: ${reason}`
    } finally {
      this.remove()
    }
  }

  add (): void {
    // Also when this process is ended before the test is.
    process.once('exit', () => { this.remove() })
    const [near, far] = this.#ends
    run('ip', 'netns', 'add', this.#name)
    run('ip', 'link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', this.#name)
    run('ip', 'address', 'add', `${this.near}/30`, 'dev', near)
    run('ip', 'link', 'set', near, 'up')
    run('ip', ...this.#inside('ip', 'address', 'add', `${this.far}/30`, 'dev', far))
    run('ip', ...this.#inside('ip', 'link', 'set', far, 'up'))
  }

  remove (): void {
    failure('ip', 'link', 'delete', this.#ends[0])
    failure('ip', 'netns', 'delete', this.#name)
  }

  /** Drops all packets, or those to and from a TCP port on the near side. */
  cut (port?: number): void { this.#rules('-A', port) }

  /** Ends what `cut` with the same port has begun. */
  heal (port?: number): void { this.#rules('-D', port) }

  #rules (act: '-A' | '-D', port: number | undefined): void {
    for (const [chain, end] of [['INPUT', '--sport'], ['OUTPUT', '--dport']] as const) {
      run('ip', ...this.#inside('iptables', act, chain, ...port === undefined ? [] : ['-p', 'tcp', end, String(port)], '-j', 'DROP'))
    }
  }

  #inside (...command: string[]): string[] { return ['netns', 'exec', this.#name, ...command] }
}

/** Returns why this machine has no network namespace for a test, or false. */
export function noNamespace (): string | false {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux'
  if (process.getuid?.() !== 0) return 'a network namespace needs root'
  for (const program of ['ip', 'iptables']) {
    if (failure(program, '-V') !== false) return `${program} is not installed (apt-get install iproute2 iptables)`
  }
  return new Namespace('probe').unable()
}

/** A namespace that ends with the test. */
export function addNamespace (t: Pick<Scope, 'after'>, name: string): Namespace {
  const namespace = new Namespace(name)
  t.after(() => { namespace.remove() })
  namespace.add()
  return namespace
}
