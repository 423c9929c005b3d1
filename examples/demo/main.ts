// `npm run demo`. First act: two servers with the same handlers, crowd and SIGTERM, one with bare @fastify/websocket (bare.ts),
// one with this plugin (lifecycle.ts). Second act: a deploy of the same servers under traffic, and what its readers see of it.
// Runs the steps, shows them, prints the tables. Exits with 0 after a complete run, whatever the figures are; with 1 after a
// fault; with 130 on Ctrl-C.

import { setTimeout as sleep } from 'node:timers/promises'
import { Children } from './children.ts'
import { Deploy, type DeployOutcome } from './deploy/deploy.ts'
import { renderDeploys } from './deploy/table.ts'
import { Progress } from './progress.ts'
import { Side, type Outcome } from './side.ts'
import { renderTable } from './table.ts'

const setUpWithin = 15_000
const chatFor = 2_000
/** Jobs take 2 s and start within 400 ms: at the signal each has at least 1.3 s to go. */
const jobsBeforeSignal = 700
const freezeBeforeSignal = 100
/** All of a deploy, milliseconds. */
const deployWithin = 120_000
const readers = 200

const children = new Children()
const sides = [
  new Side(children, 'bare @fastify/websocket', 'bare', './bare.ts'),
  new Side(children, 'fastify-websocket-lifecycle', 'lifecycle', './lifecycle.ts')
]

const deploys = [
  new Deploy(children, { name: 'bare', short: 'bare', server: './bare.ts', lifecycle: false }, readers),
  new Deploy(children, { name: 'plugin alone', short: 'plugin', server: './lifecycle.ts', lifecycle: false }, readers),
  new Deploy(children, { name: 'plugin and class', short: 'plugin and class', server: './lifecycle.ts', lifecycle: true }, readers)
]

const each = <T>(step: (side: Side) => T): Promise<Array<Awaited<T>>> => Promise.all(sides.map(step))

async function run (progress: Progress): Promise<{ outcomes: Outcome[], deployed: DeployOutcome[] }> {
  progress.phase('starting')
  await within(setUpWithin, 'starting the servers and the crowd', each((side) => side.start()))

  progress.phase('connecting')
  await within(setUpWithin, 'connecting the crowd', each((side) => side.connect()))

  progress.phase('chatting')
  await sleep(chatFor)
  progress.phase('working')
  await each((side) => side.startJobs())
  await sleep(jobsBeforeSignal - freezeBeforeSignal)
  await each((side) => side.freeze())
  await sleep(freezeBeforeSignal)

  progress.signalled()
  progress.phase('SIGTERM')
  const [bare, plugin] = sides.map(async (side) => {
    await side.shutDown()
    progress.phase('finishing')
    return await side.finish()
  })
  // The second act begins when the plugin has no figures left to count, and the bare server none but the end of its wait for
  // clients that do not answer: 30 s of ws, which need no CPU.
  await Promise.all([plugin, sides[0]!.attempted])
  progress.phase('deploying')
  progress.follow(deploys)
  const deployed = await within(deployWithin, 'a deploy', Promise.all(deploys.map((deploy) => deploy.run())))
  progress.phase('waiting')
  progress.follow([])
  return { outcomes: await Promise.all([bare!, plugin!]), deployed }
}

async function within<T> (milliseconds: number, what: string, promise: Promise<T>): Promise<T> {
  const timer = new AbortController()
  const tooLate = sleep(milliseconds, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`${what} took longer than ${milliseconds / 1_000} s`)
  })
  tooLate.catch(() => {}) // Rejects when aborted.
  try {
    return await Promise.race([promise, tooLate])
  } finally {
    timer.abort()
  }
}

console.log('Two servers with the same handlers, 200 clients each. Both get SIGTERM. Then a deploy of both. About 40 seconds.\n')
const progress = new Progress(sides)

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    progress.stop()
    console.log(`${signal}: the demo was interrupted; all its processes have been stopped.`)
    process.exit(130) // children.ts kills what is left.
  })
}

try {
  const { outcomes, deployed } = await Promise.race([run(progress), children.fault])
  progress.stop()
  console.log(`${renderTable(outcomes)}\n\n${renderDeploys(deployed)}`)
} catch (error) {
  progress.stop()
  console.error(`The demo failed, so it has no figures: ${(error as Error).message}`)
  process.exitCode = 1
}
children.killAll()
// A failed run may have left timers behind. The output must be written first.
process.stdout.write('', () => process.exit())
