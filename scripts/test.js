// `npm test`. Each step can be run by itself with `npm run <step>`.
import { runScripts } from './steps.js'

runScripts([
  'lint',
  'typecheck',
  'test:coverage', // the tests' own results and the table; the check of the figure is a step of its own
  'test:coverage:check',
  'build',
  'test:types',
  'test:package'
])
