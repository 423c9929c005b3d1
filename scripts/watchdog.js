// Preloaded into every test file: ends it when for five minutes no test began or ended, and says why.
// A minute was too short: a test that takes 20 s takes more on a machine that is busy with something else.
//
// In place of --test-timeout, which Node 20 and 22 apply to the whole file without naming the test that hangs, and
// Node 24 and 26 to each test, so that a file whose tests are over but which leaks a handle never ends.
import { isMainThread } from 'node:worker_threads'

const LIMIT = Number(process.env.TEST_TIMEOUT ?? 300_000)
// Taken now: tests may replace the global timers.
const { setTimeout, clearTimeout } = globalThis

const running = new Set()
let timer

function rearm () {
  clearTimeout(timer)
  // unref: without anything else alive node:test ends, and reports, by itself.
  timer = setTimeout(giveUp, LIMIT).unref()
}

function giveUp () {
  const where = running.size > 0
    ? `still running: ${[...running].map((name) => JSON.stringify(name)).join(' > ')}`
    : 'no test is running, but the process does not end'
  console.error(`${process.argv[1]}: nothing happened for ${LIMIT} ms; ${where}; ` +
    `kept alive by: ${countsOf(process.getActiveResourcesInfo())}`)
  process.exit(1)
}

/** Returns how often each name is there: a test may have a thousand sockets. */
function countsOf (names) {
  const counts = new Map()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].map(([name, count]) => count === 1 ? name : `${count} × ${name}`).join(', ')
}

// Processes and threads started by a test inherit this preload; hooks of node:test would make test files of them.
if (isMainThread && /\.(test|framework)\.m?[jt]s$/.test(process.argv[1] ?? '')) {
  const { afterEach, beforeEach } = await import('node:test')
  rearm()
  beforeEach((context) => { running.add(context.name); rearm() })
  afterEach((context) => { running.delete(context.name); rearm() })
}
