// Runs commands, two at once. What the first prints is seen as it comes. What another prints is seen when it has ended, under a
// heading, but not in the midst of the first, unless it has failed.
import { spawn } from 'node:child_process'

/** Most commands use one core. */
const AT_ONCE = 2

/**
 * Runs `npm run <script>` for every name. After a failure none is begun, and the process ends with 1.
 * @param {string[]} scripts names in package.json, the one that takes longest first
 */
export async function runScripts (scripts) {
  const lines = []
  const failed = []
  const held = []
  let streams = true
  const queue = scripts.entries()

  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const [index, script] of queue) {
      if (failed.length > 0) return
      const heading = `\n=== ${index + 1}/${scripts.length} ${script} ===\n`
      if (index === 0) console.log(heading)
      const started = performance.now()
      const { status, output } = await run(script, index === 0 ? 'inherit' : 'pipe')
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      lines.push(`${status === 0 ? 'ok    ' : 'FAILED'} ${seconds.padStart(6)} s  ${script}`)
      if (status !== 0) failed.push(script)
      if (index === 0) streams = false
      else held.push(`${heading}\n${output}`)
      if (!streams || status !== 0) for (const text of held.splice(0)) console.log(text)
    }
  }))

  console.log(`\n${lines.join('\n')}\n`)
  if (failed.length === 0) console.log(`All ${scripts.length} steps passed.`)
  for (const script of failed) console.log(`Failed in "${script}". Again, alone: npm run ${script}`)
  process.exitCode = failed.length === 0 ? 0 : 1
}

function run (script, stdio) {
  // A string for the shell: npm is npm.cmd on Windows.
  const child = spawn(`npm run --silent ${script}`, { shell: true, stdio: ['inherit', stdio, stdio] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text) => { output += text })
  return new Promise((resolve) => { child.on('close', (status) => { resolve({ status, output }) }) })
}
