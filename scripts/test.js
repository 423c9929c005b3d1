// `npm test`. Each step can be run by itself with `npm run <step>`.
import { runScripts } from './steps.js'

await runScripts([
  'test:coverage',
  'lint',
  'typecheck',
  'build',
  'test:types',
  'test:api',
  'test:package'
])
