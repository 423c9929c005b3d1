// Packs the package, installs it in an empty project, and uses it there as applications do (the files in test/packaging/): run
// as ES modules, as CommonJS and under Jest, and compiled with every TypeScript that is supported.
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const TIME_LIMIT = 240_000

const COMPILERS = ['5.2', '5.4', '5.6', '5.8', '6.0', '7.0']
// ES modules, CommonJS written with `import`, and CommonJS written with `import … = require()`.
const ESM = 'use-typescript.ts'
const COMMONJS = ['use-typescript-imports.cts', 'use-typescript.cts']
const SETTINGS = {
  node16: { module: 'node16', files: [ESM, ...COMMONJS] },
  nodenext: { module: 'nodenext', files: [ESM, ...COMMONJS] },
  bundler: { module: 'esnext', moduleResolution: 'bundler', files: [ESM] },
  commonjs: { module: 'commonjs', files: COMMONJS }
}

const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const folder = mkdtempSync(join(tmpdir(), 'packaging-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const run = (title, command, args) => {
  console.log(`\n${title}`)
  const { status, error } = spawnSync(command, args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'], timeout: TIME_LIMIT })
  if (status !== 0) console.error(`FAILED: ${title}${error ? ` (${error.message})` : ''}`)
  return status === 0
}

cpSync(join(ROOT, 'test/packaging'), folder, { recursive: true })
cpSync(join(folder, ESM), join(folder, COMMONJS[0]))
for (const [name, { files, ...compilerOptions }] of Object.entries(SETTINGS)) {
  writeFileSync(join(folder, `tsconfig.${name}.json`), JSON.stringify({ extends: './tsconfig.json', compilerOptions, files }))
}

// Builds first, by prepack. The name of the file is the last line that npm prints.
const tarball = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n').at(-1)
const companions = [
  ...['fastify', 'ws', '@types/node'].map((name) => `${name}@${{ ...dependencies, ...devDependencies }[name]}`),
  ...COMPILERS.map((version) => `typescript-${version}@npm:typescript@${version}`),
  'jest@30'
]

const installed = run(`npm install ${tarball} ${companions.join(' ')}`, 'npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error', join(folder, tarball), ...companions])
const results = installed
  ? [
      run('ES modules', process.execPath, ['use-esm.js']),
      run('CommonJS', process.execPath, ['use-commonjs.cjs']),
      run('Jest', process.execPath, ['node_modules/jest/bin/jest.js']),
      await compileAll()
    ]
  : []

const passed = installed && results.every(Boolean)
console.log(passed ? '\nThe package can be installed and used.' : '\nThe package cannot be used as it is.')
process.exitCode = passed ? 0 : 1

/** Every compiler with all settings, a program on each core at a time. Resolves with whether all of them are without errors. */
async function compileAll () {
  console.log('\nTypeScript, strict, skipLibCheck: false')
  const programs = COMPILERS.flatMap((version) => Object.keys(SETTINGS).map((name) => ({ version, name }))).values()
  let clean = true
  await Promise.all(Array.from({ length: availableParallelism() }, async () => {
    for (const { version, name } of programs) {
      const errors = await compile(version, name)
      console.log(`  ${version}  ${name}${errors === '' ? '' : `: FAILED\n${errors}`}`)
      clean &&= errors === ''
    }
  }))
  return clean
}

function compile (version, name) {
  return new Promise((resolve) => {
    const args = [`node_modules/typescript-${version}/bin/tsc`, '--project', `tsconfig.${name}.json`]
    execFile(process.execPath, args, { cwd: folder, timeout: TIME_LIMIT }, (error, stdout, stderr) => {
      // Declarations of Fastify itself need TypeScript 5.4 (NoInfer).
      const known = /^node_modules\/fastify\/.+ error TS2304: Cannot find name 'NoInfer'\.\n/gm
      const output = `${stdout}${stderr}`
      const left = output.replaceAll(known, '')
      resolve(error !== null && output === '' ? error.message : left)
    })
  })
}
