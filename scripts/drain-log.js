// Writes the log of a drain, as pino-pretty shows it, into docs/guides/deploy.md.
//
//   npm run drain-log
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import './typescript.js'

const { drainLog, EXCERPT } = await import('../test/docs/drain-log.ts')

const PAGE = join(import.meta.dirname, '../docs/guides/deploy.md')
const log = await drainLog()
writeFileSync(PAGE, readFileSync(PAGE, 'utf8').replace(EXCERPT, (_all, before, after) => before + log + after))
process.exit(0)
