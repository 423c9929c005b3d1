// Compiles lib/ into dist/, or into the folder given, as CommonJS: `import`, `require` and Jest load it, and get one instance.
// Two builds would be two plugins in a process that uses both ways, each with its own symbols and registries.
//
// The client is built for browsers, too: each of its entries as one minified ES module. What both builds know they keep at one place.
//
//   npm run build
//   node scripts/build.js folder
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { buildSync } from 'esbuild'
import './typescript.js'

const { entries } = await import('../test/helpers/entries.ts')

const ROOT = join(import.meta.dirname, '..')
const [folder] = process.argv.slice(2)
const target = resolve(folder ?? join(ROOT, 'dist'))
if (folder === undefined) rmSync(target, { recursive: true, force: true })

const compiler = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')
const { status } = spawnSync(process.execPath, [compiler, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', target], { stdio: 'inherit' })
process.exitCode = status ?? 1

// The nearest package.json tells Node.js that these files are CommonJS, and bundlers that none has side effects.
writeFileSync(join(target, 'package.json'), `${JSON.stringify({ type: 'commonjs', sideEffects: false }, null, 2)}\n`)
for (const entry of ['index', 'prepare']) buildClient(entry)
for (const { file } of entries) {
  if (!readFileSync(join(target, `${file}.js`), 'utf8').includes('exports.default = ')) continue
  change(`${file}.js`, withPluginAsExports)
  change(`${file}.d.ts`, withExportAssignment)
}
change('show/page/assets.js', withTexts)

/** Bundles one entry of the client. Its declarations are those of the CommonJS build; `import` finds them under a name of its own. */
function buildClient (entry) {
  buildSync({
    entryPoints: [join(ROOT, `lib/client/${entry}.ts`)],
    outfile: join(target, `client/${entry}.mjs`),
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    logLevel: 'error'
  })
  writeFileSync(join(target, `client/${entry}.d.mts`), `export * from './${entry}.js'\n`)
}

function change (name, edit) {
  const file = join(target, name)
  writeFileSync(file, edit(readFileSync(file, 'utf8')))
}

/** `require` returns the plugin function, as for every Fastify plugin; the other exports are its properties. */
function withPluginAsExports (code) {
  return code
    .replace('Object.defineProperty(exports, "__esModule", { value: true });\n', '')
    .replace(/^exports\.default = (\w+);$/m, 'module.exports = Object.assign($1, exports, { default: $1 });')
}

/** The files of the page as texts in the module that reads them: a bundle has no files beside it. */
function withTexts (code) {
  const texts = Object.fromEntries(['page.js', 'page.css'].map((name) => [name, readFileSync(join(ROOT, 'lib/show/page/assets', name), 'utf8')]))
  return code
    .replace(/^const node_fs_1 = .*\n/m, '')
    .replace(/^const read = [^]*?^\};$/m, () => `const texts = ${JSON.stringify(texts, null, 2)};\nconst read = (name) => texts[name];`)
}

/** Declares what withPluginAsExports() makes: a function merged with a namespace. Every version of TypeScript reads this form. */
function withExportAssignment (declarations) {
  const names = [...declarations.matchAll(/^export (?:type )?\{ (.+) \}/gm)].flatMap(([, list]) => list.split(', '))
  return declarations
    .replaceAll(/^export type (\{ .+ \} from .+;)$/gm, 'import type $1')
    .replace(/^export \{ .+ \};\n/m, '')
    .replace(/^declare const (\w+): typeof (\w+);$/m, 'declare function $1(...parameters: Parameters<typeof $2>): ReturnType<typeof $2>;')
    .replace(/^export default (\w+);$/m, (_, name) => `declare namespace ${name} {\n    export { ${[`${name} as default`, ...names].join(', ')} };\n}\nexport = ${name};`)
}
