// Packs the package, installs it in an empty project, and uses it there as applications do (the programs in test/packaging/):
// run as ES modules, as CommonJS, by test runners and from bundles, and compiled with every TypeScript that is supported.
//
//   npm run test:packaging                       runs programs with the Node that runs this script
//   npm run test:packaging -- path/to/bin/node   and with these
import { execFile, execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'

const ROOT = join(import.meta.dirname, '..')
/** Milliseconds for the installation, for a program, and for a project that is compiled. */
const TIME_LIMIT = 240_000
/** What is shown of a failure, characters: Node prints the line that has thrown, which may be a whole bundle. */
const OUTPUT = 2_000

const COMPILERS = ['5.2', '5.4', '5.6', '5.8', '5.9', '6.0', '7.0']
// ES modules, CommonJS written with `import`, and CommonJS written with `import … = require()`.
const ESM = 'use-typescript.ts'
const COMMONJS = ['use-typescript-imports.cts', 'use-typescript.cts']
const SETTINGS = {
  node16: { module: 'node16', files: [ESM, ...COMMONJS] },
  nodenext: { module: 'nodenext', files: [ESM, ...COMMONJS] },
  bundler: { module: 'esnext', moduleResolution: 'bundler', files: [ESM] },
  commonjs: { module: 'commonjs', files: COMMONJS },
  browser: { module: 'esnext', moduleResolution: 'bundler', lib: ['es2022', 'dom'], types: [], files: ['use-client-browser.ts'] }
}

const BUNDLES = ['esm', 'cjs'].flatMap((format) => [false, true].map((minify) => ({ format, minify, file: `bundle${minify ? '.min' : ''}.${format === 'esm' ? 'mjs' : 'cjs'}` })))

/** The first that the package allows as its peer. */
const OLDEST_FASTIFY = '5.0.0'

/** How an application may be run: the arguments of Node. */
const PROGRAMS = {
  import: ['use-esm.js'],
  [`import, Fastify ${OLDEST_FASTIFY}`]: ['use-oldest.js'],
  require: ['use-commonjs.cjs'],
  'import and require': ['use-both.js'],
  Jest: ['node_modules/jest/bin/jest.js', 'use-jest'],
  vitest: ['node_modules/vitest/vitest.mjs', 'run', 'use-vitest'],
  tsx: ['node_modules/tsx/dist/cli.mjs', 'use-both.ts'],
  'tsx, CommonJS': ['node_modules/tsx/dist/cli.mjs', 'commonjs/use-commonjs.ts'],
  ...Object.fromEntries(BUNDLES.map(({ file, format, minify }) => [`esbuild, ${format}${minify ? ', minified' : ''}`, [file]]))
}

const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const folder = mkdtempSync(join(tmpdir(), 'packaging-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

await install()
await bundle()
const failures = await runAll([...programs(), ...compilations()])
console.log(failures === 0 ? '\nThe package can be installed and used.' : `\nThe package cannot be used as it is: ${failures} failed.`)
process.exitCode = failures === 0 ? 0 : 1

/** Makes the project: the programs, the package, and what they use beside it. */
async function install () {
  cpSync(join(ROOT, 'test/packaging'), folder, { recursive: true })
  cpSync(join(folder, ESM), join(folder, COMMONJS[0]))
  cpSync(join(folder, 'use-both.js'), join(folder, 'use-both.ts'))
  writeFileSync(join(folder, 'use-oldest.js'), readFileSync(join(folder, 'use-esm.js'), 'utf8').replace("from 'fastify'", "from 'fastify-oldest'"))
  // Of type commonjs, as no field says otherwise.
  mkdirSync(join(folder, 'commonjs'))
  writeFileSync(join(folder, 'commonjs/package.json'), '{}')
  cpSync(join(folder, 'use-commonjs.cjs'), join(folder, 'commonjs/use-commonjs.ts'))
  // Each compiler has its own: newer ones keep what they know of a project beside its file.
  for (const version of COMPILERS) {
    for (const [name, { files, ...compilerOptions }] of Object.entries(SETTINGS)) {
      writeFileSync(join(folder, configOf(version, name)), JSON.stringify({ extends: './tsconfig.json', compilerOptions, files }))
    }
  }
  // Builds first, by prepack. The name of the file is the last line that npm prints.
  const tarball = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n').at(-1)
  const companions = [
    ...['fastify', 'ws', '@types/node'].map((name) => `${name}@${{ ...dependencies, ...devDependencies }[name]}`),
    ...COMPILERS.map((version) => `typescript-${version}@npm:typescript@${version}`),
    `fastify-oldest@npm:fastify@${OLDEST_FASTIFY}`, 'jest@30', 'tsx@4', 'vitest@4'
  ]
  console.log(`npm install ${tarball} ${companions.join(' ')}`)
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error', join(folder, tarball), ...companions], { cwd: folder, stdio: 'inherit', timeout: TIME_LIMIT })
}

async function bundle () {
  for (const { file, format, minify } of BUNDLES) {
    await build({
      absWorkingDir: folder,
      entryPoints: ['use-both.js'],
      outfile: file,
      bundle: true,
      minify,
      format,
      platform: 'node',
      logLevel: 'error',
      // In a bundle of ES modules, what CommonJS packages require of Node needs a `require`.
      ...(format === 'esm' ? { banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" } } : {})
    })
  }
}

function programs () {
  return [process.execPath, ...process.argv.slice(2).map((path) => resolve(path))].flatMap((node) => {
    const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
    return Object.entries(PROGRAMS).map(([name, args]) => ({ title: `Node ${version}  ${name}`, node, args }))
  })
}

/** Every compiler with all settings, in one process that parses each declaration once; strict, skipLibCheck: false. */
function compilations () {
  const names = Object.keys(SETTINGS)
  return COMPILERS.map((version) => ({
    title: `TypeScript ${version}  ${names.join(', ')}`,
    node: process.execPath,
    timeout: names.length * TIME_LIMIT,
    args: [`node_modules/typescript-${version}/bin/tsc`, '--build', ...names.map((name) => configOf(version, name))],
    // Declarations of Fastify itself need TypeScript 5.4 (NoInfer).
    known: /^node_modules\/fastify\/.+ error TS2304: Cannot find name 'NoInfer'\.\n/gm
  }))
}

function configOf (version, name) { return `tsconfig.${version}.${name}.json` }

/** Runs jobs, one on each core at a time. Resolves with the number of those that failed. */
async function runAll (jobs) {
  let failures = 0
  const queue = jobs.values()
  await Promise.all(Array.from({ length: availableParallelism() }, async () => {
    for (const job of queue) {
      const { error, output, seconds } = await run(job)
      // A compiler whose known errors are all that it said has passed.
      const failed = error !== null && (job.known === undefined || output !== '' || error.killed)
      if (failed) failures++
      console.log(`${failed ? 'FAILED' : 'ok    '} ${seconds.toFixed(1).padStart(5)} s  ${job.title}${failed ? `\n${output.slice(-OUTPUT) || error.message}` : ''}`)
    }
  }))
  return failures
}

function run ({ node, args, known, timeout = TIME_LIMIT }) {
  const started = performance.now()
  return new Promise((resolve) => {
    execFile(node, args, { cwd: folder, timeout }, (error, stdout, stderr) => {
      const output = `${stdout}${stderr}`
      resolve({ error, output: known ? output.replaceAll(known, '') : output, seconds: (performance.now() - started) / 1000 })
    })
  })
}
