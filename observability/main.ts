// `npm run dashboard`: writes dashboard.json.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeDashboard } from './dashboard.ts'

writeFileSync(join(import.meta.dirname, 'dashboard.json'), `${JSON.stringify(makeDashboard(), null, 2)}\n`)
