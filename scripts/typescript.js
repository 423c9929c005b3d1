// `node --import ./scripts/typescript.js file.ts`: runs TypeScript, on Node 20 too, which cannot by itself.
//
// The one loader of everything here, so that the coverage of two processes can be added up. tsx costs every process of the
// tests twice as much time to start. Imports carry their extension and syntax is erasable: only types are taken away.
import module from 'node:module'

process.setSourceMapsEnabled(true)
const hooks = './typescript-hooks.js'
// Hooks that run on the thread itself, where Node has them: no worker to start, no messages to wait for.
if (module.registerHooks === undefined) {
  // The worker of the hooks runs nothing that is covered: its coverage would take time to collect, to write and to read.
  const { NODE_V8_COVERAGE } = process.env
  delete process.env.NODE_V8_COVERAGE
  module.register(hooks, import.meta.url)
  if (NODE_V8_COVERAGE !== undefined) process.env.NODE_V8_COVERAGE = NODE_V8_COVERAGE
} else {
  module.registerHooks(await import(hooks))
}
