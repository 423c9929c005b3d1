/**
 * Finds in the sources of lib/ what is logged at warn or above.
 *
 * Calls of SINKS are found by name, their literals are the messages. A call whose message is a variable is looked up in
 * INDIRECT; one that is not listed there fails the search, so that a new way to log is looked at.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { ROOT } from './markdown.ts'

/** What logs, or hands a message on to what logs. */
const SINKS = /\.(?:warn|warnOnce|error|fatal)\(|\bnote\('(?:warn|error)',|\bhookFailed\(/g

/** A file and the variable that it logs → where that one's literals are in the file, or null where another sink has them. */
const INDIRECT: Record<string, RegExp | null> = {
  'handshake/acceptor.ts: message': /this\.#refuse\(.*, ('.*')\)/g,
  'show/log.ts: message': /^ {2}\w+: ('[^']+'),?$/gm,
  'base/log-limiter.ts: kind': null,
  'plugin.ts: message': null,
  'wiring.ts: message': null,
  'handshake/routes.ts: mistake': /('config\.sockets has no effect[^'\n]*'|`(?:config\.)?\$\{key\} has no effect[^`\n]*`)/g
}

/** A message in a file of lib/; what is put in at run time is `…`. */
export interface LoggedMessage { file: string, message: string }

export function loggedMessages (): LoggedMessage[] {
  return readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.replaceAll(sep, '/'))
    .flatMap((file) => messagesIn(file, readFileSync(join(ROOT, 'lib', file), 'utf8')).map((message) => ({ file, message })))
}

function messagesIn (file: string, source: string): string[] {
  return [...source.matchAll(SINKS)].flatMap(({ 0: sink, index }) => {
    const call = argumentsAt(source, index + sink.length)
    const found = literalsOf(call)
    if (found.length > 0) return sink.startsWith('hookFailed') ? found.map((hook) => `${hook} failed`) : found
    const key = `${file}: ${call.replace(/\{[^}]*\}/g, '').split(',').map((part) => part.trim()).filter((part) => /^\w+$/.test(part)).join()}`
    if (!(key in INDIRECT)) throw new Error(`cannot tell what is logged by lib/${key}`)
    const where = INDIRECT[key]!
    return where === null ? [] : [...source.matchAll(where)].flatMap(([, literal]) => literalsOf(literal!))
  })
}

/** The text from a place inside a call to its closing parenthesis. */
function argumentsAt (source: string, start: number): string {
  let depth = 1
  let end = start
  while (depth > 0) {
    const token = /['"`()[\]{}]/g
    token.lastIndex = end
    const { 0: character, index } = token.exec(source)!
    if ('([{'.includes(character)) depth++
    else if (')]}'.includes(character)) depth--
    end = '\'"`'.includes(character) ? afterLiteral(source, index) : index + 1
  }
  return source.slice(start, end - 1)
}

function afterLiteral (source: string, start: number): number {
  const quote = source[start]!
  let end = start + 1
  while (source[end] !== quote) end += source[end] === '\\' ? 2 : 1
  return end + 1
}

/** The literals that are arguments themselves, or a part of one; not those inside an object or another call. */
function literalsOf (call: string): string[] {
  const found: string[] = []
  let depth = 0
  for (let at = 0; at < call.length; at++) {
    const character = call[at]!
    if ('([{'.includes(character)) depth++
    else if (')]}'.includes(character)) depth--
    else if ('\'"`'.includes(character)) {
      const end = afterLiteral(call, at)
      const text = call.slice(at + 1, end - 1).replace(/\$\{[^}]*\}/g, '…')
      const before = call.slice(0, at).trimEnd()
      if (depth === 0 && !before.endsWith('===')) {
        if (before.endsWith('+')) found[found.length - 1] += text
        // Levels of a gate, names in a line's fields.
        else if (text.includes(' ') || before === '' || before.endsWith(',')) found.push(text)
      }
      at = end - 1
    }
  }
  return found.filter((text) => !['warn', 'error', 'fatal'].includes(text))
}
