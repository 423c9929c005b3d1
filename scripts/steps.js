// Runs commands one after the other under a heading each, and stops at the first that fails.
import { spawnSync } from 'node:child_process'

/**
 * Runs `npm run <script>` for every name, and ends the process with 1 after the first failure.
 * @param {string[]} scripts names in package.json
 */
export function runScripts (scripts) {
  const lines = []
  for (const [index, script] of scripts.entries()) {
    console.log(`\n=== ${index + 1}/${scripts.length} ${script} ===\n`)
    const started = performance.now()
    // A string for the shell: npm is npm.cmd on Windows.
    const { status } = spawnSync(`npm run --silent ${script}`, { shell: true, stdio: 'inherit' })
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    lines.push(`${status === 0 ? 'ok    ' : 'FAILED'} ${seconds.padStart(6)} s  ${script}`)
    if (status === 0) continue
    console.log(`\n${lines.join('\n')}\n\nFailed in "${script}". Again, alone: npm run ${script}`)
    process.exit(1)
  }
  console.log(`\n${lines.join('\n')}\n\nAll ${scripts.length} steps passed.`)
}
