/**
 * Programs that some tests use when they are there: clients in other languages, a proxy, a browser.
 *
 * A test asks with `test('…', { skip: missing('nginx') }, …)`; scripts/unit.js prints once what is absent and how to get it.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** A program that tests may do without. */
export type OptionalProgram = 'python3-websockets' | 'go' | 'chromium' | 'nginx' | 'prometheus' | 'promtool' | 'redis'

interface Program {
  /** Commands, each with arguments that make it succeed; the first that does is the program. */
  probes: Array<[command: string, ...args: string[]]>
  /** How to get it on Debian; elsewhere the names are a hint. */
  install: string
}

const PROGRAMS: Record<OptionalProgram, Program> = {
  'python3-websockets': {
    // A python3 from elsewhere may come first in PATH; Debian's package belongs to Debian's own.
    probes: [['python3', '-c', 'import websockets'], ['/usr/bin/python3', '-c', 'import websockets']],
    install: 'apt-get install python3-websockets'
  },
  go: {
    probes: [['go', 'version']],
    install: 'apt-get install golang golang-github-gorilla-websocket-dev'
  },
  chromium: {
    probes: [['chromium', '--version'], ['google-chrome', '--version']],
    install: 'apt-get install chromium'
  },
  nginx: {
    probes: [['nginx', '-v'], ['/usr/sbin/nginx', '-v']],
    install: 'apt-get install nginx-light'
  },
  prometheus: {
    probes: [['prometheus', '--version']],
    install: 'apt-get install prometheus'
  },
  promtool: {
    probes: [['promtool', '--version']],
    install: 'apt-get install prometheus'
  },
  redis: {
    probes: [['redis-server', '--version']],
    install: 'apt-get install redis-server'
  }
}

const located = new Map<OptionalProgram, string | null>()

/** Returns the command that starts the program, or null when it is not installed. */
export function locate (name: OptionalProgram): string | null {
  let command = located.get(name)
  if (command === undefined) {
    const works = PROGRAMS[name].probes.find(([command, ...args]) =>
      spawnSync(command, args, { stdio: 'ignore', timeout: 10_000 }).status === 0)
    command = works?.[0] ?? null
    located.set(name, command)
  }
  return command
}

/** Returns why a test has to be skipped, or false when the program is there: a value for node:test's option `skip`. */
export function missing (name: OptionalProgram): string | false {
  return locate(name) === null && `${name} is not installed (${PROGRAMS[name].install})`
}

/** Prints a line for every absent program that one of these test files asks for. */
export function printMissing (testFiles: string[]): void {
  const sources = testFiles.map((file) => readFileSync(file, 'utf8')).join('\n')
  for (const name of Object.keys(PROGRAMS) as OptionalProgram[]) {
    if (!sources.includes(`missing('${name}')`)) continue
    const reason = missing(name)
    if (reason !== false) console.log(`skipped: ${reason}`)
  }
}
