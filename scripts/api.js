// Compares the public types with the reports in api/, one for each entry of the package: a change of the public surface is
// reviewed as a change of those files.
//
//   npm run test:api   fails when something differs, and shows it
//   npm run api        rewrites the reports
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor'
import './typescript.js'

const { entries } = await import('../test/helpers/entries.ts')

const ROOT = join(import.meta.dirname, '..')
/** Name of a report → the declarations of its entry. */
const ENTRIES = entries.map(({ name, file }) => [name.split('/').slice(1).join('-') || 'index', `${file}.d.ts`])
const write = process.argv.includes('--write')

// Not dist/: API Extractor reads no `export =` (scripts/build.js). It looks for a package.json above the declarations, and
// TypeScript for the packages that they name.
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'api-')))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
copyFileSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction')
const compiler = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')
const { status } = spawnSync(process.execPath, [compiler, '-p', join(ROOT, 'tsconfig.build.json'), '--emitDeclarationOnly', '--outDir', folder], { stdio: 'inherit' })
if (status !== 0) process.exit(1)

const changed = ENTRIES.filter(([name, file]) => !report(name, join(folder, file))).map(([name]) => `api/${name}.api.md`)
if (changed.length > 0 && !write) console.error(`\nThe public types differ from ${changed.join(' and ')}. If this is meant: npm run api, and commit what it writes.`)
process.exitCode = changed.length > 0 && !write ? 1 : 0

/** Compares, or writes, one report. Returns whether it was up to date. */
function report (name, entry) {
  const none = { default: { logLevel: 'none' } }
  const config = ExtractorConfig.prepare({
    packageJsonFullPath: join(folder, 'package.json'),
    configObjectFullPath: undefined,
    configObject: {
      projectFolder: folder,
      newlineKind: 'lf',
      mainEntryPointFilePath: entry,
      compiler: { overrideTsconfig: { compilerOptions: { target: 'es2023', module: 'nodenext', types: ['node'], strict: true, skipLibCheck: true }, files: [entry] } },
      apiReport: {
        enabled: true,
        reportFileName: name,
        reportFolder: join(ROOT, 'api'),
        reportTempFolder: folder,
        // Types that exports name without being exported are a part of what users write against.
        includeForgottenExports: true
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      // What is documented and how is checked by test/docs/hover.test.ts.
      messages: { compilerMessageReporting: { default: { logLevel: 'error' } }, extractorMessageReporting: none, tsdocMessageReporting: none }
    }
  })
  const { apiReportChanged, errorCount } = Extractor.invoke(config, {
    localBuild: write,
    printApiReportDiff: !write,
    messageCallback: (message) => {
      // It names the version of its TypeScript each time.
      if (message.logLevel === 'info' || message.logLevel === 'verbose') message.handled = true
    }
  })
  if (errorCount > 0) process.exit(1)
  return !apiReportChanged
}
