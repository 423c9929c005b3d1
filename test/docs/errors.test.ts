/**
 * docs/reference/errors.md: every error code, and log lines as they are.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import * as errors from '../../lib/base/errors.ts'
import { loggedMessages } from './log-lines.ts'
import { codeIn, readDocument, ROOT, tables } from './markdown.ts'

const document = readDocument('docs/reference/errors.md')

test('docs/reference/errors.md lists every error code and no other', () => {
  const documented = tables(document, 'code', 'when', 'what to do').map((row) => codeIn(row.code))
  const thrown = Object.entries(errors)
    .filter(([name]) => name.startsWith('SOCKETS_ERR_'))
    .map(([, create]) => new (create as new () => Error & { code: string })().code)
  assert.deepEqual(documented.toSorted(), thrown.toSorted())
})

test('docs/reference/errors.md quotes log messages as they are', () => {
  const sources = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(ROOT, 'lib', file), 'utf8'))
    .join('\n')
  const quoted = tables(document, 'level', 'message', 'what to do').map((row) => codeIn(row.message)!)
  assert.ok(quoted.length > 5)
  assert.deepEqual(quoted.filter((message) => !sources.includes(message)), [])
})

test('docs/reference/errors.md has every line that is logged at warn or above', () => {
  const quoted = [...document.prose.join('\n').matchAll(/`([^`]+)`/g)].map(([, text]) => text!.replace(/\$\{[^}]*\}/g, '…'))
  const logged = loggedMessages()
  assert.ok(logged.length > 30)
  assert.deepEqual(logged.filter(({ message }) => !quoted.some((text) => text.includes(' ') && message.includes(text))), [])
})
