// `npm test`. Each step can be run by itself with `npm run <step>`.
import { runScripts } from './steps.js'

runScripts([
  'lint',
  'typecheck',
  'test:coverage',
  'build',
  'test:types',
  'test:api',
  'test:package',
  'test:coverage:check' // last: results of the other steps come sooner
])
