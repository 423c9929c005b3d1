import { readFileSync } from 'node:fs'
import neostandard from 'neostandard'

// Persons in place of things of the system, and names that do not say what a type does. test/docs/words.test.ts reads texts for them, too.
const { words, names } = JSON.parse(readFileSync(new URL('scripts/words.json', import.meta.url), 'utf8'))

const CLOCK = 'Take a Clock: only lib/base/clock.ts reads the time or makes timers.'

export default [
  ...neostandard({
    ts: true,
    ignores: ['dist/', 'coverage/', 'node_modules/']
  }),
  {
    rules: {
      'no-warning-comments': ['error', { terms: words, location: 'anywhere' }],
      'id-denylist': ['error', ...names]
    }
  },
  {
    files: ['**/*.ts'],
    rules: {
      // Marks a promise that is left to itself on purpose, as oxlint's no-floating-promises asks.
      'no-void': ['error', { allowAsStatement: true }],
      // `erasableSyntaxOnly` lets the `declare` forms pass; there is no need for those either.
      'no-restricted-syntax': ['error',
        { selector: 'TSEnumDeclaration', message: 'Use an `as const` object.' },
        { selector: 'TSModuleDeclaration[kind="namespace"]', message: 'Use a module.' }
      ]
    }
  },
  {
    files: ['lib/show/page/assets/*.js'],
    rules: { 'no-void': ['error', { allowAsStatement: true }] },
    languageOptions: { globals: { DOMParser: 'readonly', EventSource: 'readonly', getSelection: 'readonly', location: 'readonly' } }
  },
  {
    files: ['lib/**/*.ts'],
    // The client imports nothing: it has no clock but the browser's.
    ignores: ['lib/base/clock.ts', 'lib/client/**'],
    rules: {
      'no-restricted-properties': ['error',
        { object: 'Date', property: 'now', message: CLOCK },
        ...['setTimeout', 'setInterval', 'setImmediate'].map((property) => ({ object: 'globalThis', property, message: CLOCK }))
      ],
      'no-restricted-globals': ['error',
        ...['setTimeout', 'setInterval', 'setImmediate', 'performance'].map((name) => ({ name, message: CLOCK }))
      ],
      'no-restricted-imports': ['error', {
        paths: ['node:timers', 'node:timers/promises', 'node:perf_hooks'].map((name) => ({ name, message: CLOCK }))
      }],
      'no-console': 'error'
    }
  }
]
