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
  'test:coverage:check' // last: whoever writes a test first wants to see what it says
])
