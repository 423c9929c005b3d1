/**
 * Words that the texts of this project do not use: persons in place of things of the system, and names of types that do not say
 * what the type does.
 *
 * Read are the prose of documents, comments, sentences in string literals (errors, log lines, titles of tests), and identifiers; lint
 * looks for the same words in comments and identifiers (eslint.config.js). Code that a text quotes in backquotes, and the output of
 * examples, may have any words.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
// The compiler that tsd brings: TypeScript 7 has no such interface.
import ts from '@tsd/typescript'
import { readDocument, ROOT } from './markdown.ts'

/** Folders that are checked, and files of the root. */
const PLACES = ['lib', 'test', 'docs', 'examples', 'benchmarks', 'observability', 'scripts', ...readdirSync(ROOT).filter((file) => file.endsWith('.md'))]
/** The subject of a sentence is the client, the caller, the application, the connection; a type is called after what it does. */
const { words: WORDS, names: NAMES } = JSON.parse(readFileSync(join(ROOT, 'scripts/words.json'), 'utf8')) as { words: string[], names: string[] }
const WORD = new RegExp(`\\b(?:${WORDS.join('|')})\\b`, 'gi')

/** A word that does not belong, and its line. */
interface Finding { line: number, word: string }

function inText (text: string, line: number): Finding[] {
  const plain = text.replaceAll(/`[^`]*`/g, (code) => code.replaceAll(/[^\n]/g, ''))
  return [...plain.matchAll(WORD)].map(({ 0: word, index }) => ({ line: line + plain.slice(0, index).split('\n').length - 1, word }))
}

function inSource (source: string): Finding[] {
  const file = ts.createSourceFile('source.ts', source, ts.ScriptTarget.Latest, true)
  const lineOf = (position: number) => file.getLineAndCharacterOfPosition(position).line + 1
  const comments = new Map<number, string>()
  const found: Finding[] = []
  const visit = (node: ts.Node) => {
    for (const { pos, end } of [...ts.getLeadingCommentRanges(source, node.pos) ?? [], ...ts.getTrailingCommentRanges(source, node.end) ?? []]) {
      comments.set(pos, source.slice(pos, end))
    }
    if (ts.isIdentifier(node) && NAMES.includes(node.text)) found.push({ line: lineOf(node.getStart()), word: node.text })
    // A literal of one word is a value, not a sentence.
    if ((ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) && /\S\s+\S/.test(node.text)) {
      found.push(...inText(node.text, lineOf(node.getStart())))
    }
    for (const child of node.getChildren()) visit(child)
  }
  visit(file)
  for (const [position, comment] of comments) found.push(...inText(comment, lineOf(position)))
  return found
}

/** The prose of a document, and its examples. */
function inDocument (path: string): Finding[] {
  const { prose, blocks } = readDocument(path)
  const examples = blocks.filter(({ language }) => language === 'js' || language === 'ts')
  return [
    ...inText(prose.join('\n'), 1),
    ...examples.flatMap(({ place, text }) => inSource(text).map(({ line, word }) => ({ line: Number(place.split(':').at(-1)) + line, word })))
  ]
}

function filesOf (place: string): string[] {
  if (/\.\w+$/.test(place)) return [place]
  return readdirSync(join(ROOT, place), { recursive: true, encoding: 'utf8' })
    .map((file) => `${place}/${file.replaceAll('\\', '/')}`)
    .filter((file) => /\.(?:md|ts|js)$/.test(file) && !file.includes('node_modules/'))
}

for (const place of PLACES) {
  test(`${place} names the things of the system`, () => {
    const files = filesOf(place)
    assert.ok(files.length > 0)
    const found = files.flatMap((path) => (path.endsWith('.md') ? inDocument(path) : inSource(readFileSync(join(ROOT, path), 'utf8')))
      .map(({ line, word }) => `${path}:${line}: ${word}`))
    assert.equal(found.length, 0, found.join('\n'))
  })
}

test('comments, sentences and identifiers are checked, quoted code and values are not', () => {
  const word = ['who', 'ever'].join('')
  const source = `
    // ${word} comes
    const ${word} = \`the client, \${name}, or ${word} else\`
    /**
     * The \`${word}\` of a quotation,
     * and ${word}.
     */
    log('${word}', '${word} comes', { ${word} }) // it is ${word}
    class Tally extends Tallies {}`
  const found = inSource(source).map(({ line, word }) => `${line} ${word}`)
  assert.deepEqual(found.toSorted(), [`2 ${word}`, `3 ${word}`, `6 ${word}`, `8 ${word}`, `8 ${word}`, '9 Tally'])
})
