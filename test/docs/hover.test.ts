/**
 * Doc comments of the public types: editors show them, and many users read nothing else. Every exported name, option and field
 * has one, and TypeScript reads all of its text.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
// The compiler that tsd brings: TypeScript 7 has no such interface.
import ts from '@tsd/typescript'
import { entries } from '../helpers/entries.ts'

const ROOT = join(import.meta.dirname, '../..')
const LIB = join(ROOT, 'lib')
/** Tags that are meant; TypeScript takes any other word after an `@` for a tag, too, and shows the text before it alone. */
const TAGS = ['default']

interface Documented { name: string, text: string, tags: string[] }

/** All that a user of these entries can see by name: exports, the members of the types that they lead to, and what is added to Fastify's. */
function documented (entries: string[]): Documented[] {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (file) => ts.sys.readFile(file)) as { config: object }
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
  const program = ts.createProgram(entries, options)
  const checker = program.getTypeChecker()
  const found: Documented[] = []
  const seen = new Set<ts.Symbol>()

  const add = (name: string, symbol: ts.Symbol) => {
    found.push({ name, text: ts.displayPartsToString(symbol.getDocumentationComment(checker)), tags: symbol.getJsDocTags(checker).map((tag) => tag.name) })
  }

  /** A name: its own comment, and what its declarations in lib/ say. */
  const visitSymbol = (symbol: ts.Symbol, name: string) => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    if (seen.has(target)) return
    seen.add(target)
    const declarations = (target.declarations ?? []).filter((declaration) => declaration.getSourceFile().fileName.startsWith(LIB))
    if (declarations.length === 0 || target.flags & ts.SymbolFlags.TypeParameter) return
    add(name, target)
    for (const declaration of declarations) ts.forEachChild(declaration, (child) => { visitNode(child, name) })
  }

  /** Members of interfaces, object types and classes, and the types that are named on the way. Values are left alone. */
  const visitNode = (node: ts.Node, place: string) => {
    let inside = place
    if (ts.isBlock(node) || (ts.isExpression(node) && !ts.isExpressionWithTypeArguments(node))) return
    if ((ts.isTypeElement(node) || ts.isClassElement(node)) && node.name !== undefined) {
      if (ts.isPrivateIdentifier(node.name)) return
      inside = `${place}.${node.name.getText()}`
      const symbol = checker.getSymbolAtLocation(node.name)!
      if (!seen.has(symbol)) add(inside, symbol)
      seen.add(symbol)
    } else if (ts.isTypeReferenceNode(node) || ts.isExpressionWithTypeArguments(node)) {
      const name = ts.isTypeReferenceNode(node) ? node.typeName : node.expression
      const symbol = checker.getSymbolAtLocation(name)
      if (symbol !== undefined) visitSymbol(symbol, name.getText())
    }
    ts.forEachChild(node, (child) => { visitNode(child, inside) })
  }

  for (const entry of entries) {
    const file = checker.getSymbolAtLocation(program.getSourceFile(entry)!)!
    for (const symbol of checker.getExportsOfModule(file)) visitSymbol(symbol, symbol.name)
  }
  // What lib/ adds to the types of Fastify.
  for (const file of program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(LIB))) {
    for (const statement of file.statements) {
      if (!ts.isModuleDeclaration(statement) || statement.body === undefined || !ts.isModuleBlock(statement.body)) continue
      for (const { name, members } of statement.body.statements.filter(ts.isInterfaceDeclaration)) members.forEach((member) => { visitNode(member, name.text) })
    }
  }
  return found
}

const names = documented(entries.map(({ file }) => join(LIB, `${file}.ts`)))

test('the doc comments of options, connections, filters and the testing entry are looked at', () => {
  for (const name of ['default', 'LifecycleOptions.limits', 'LimitsOptions.pressure', 'Tracker.stats', 'Filter.tag', 'Connection.close', 'TestClock.tick', 'CloseCode', 'FastifyInstance.sockets', 'FastifyContextConfig.sockets']) {
    assert.ok(names.some((documented) => documented.name === name), name)
  }
})

test('every exported name, option and field has a doc comment', () => {
  assert.deepEqual(names.filter(({ text }) => text === '').map(({ name }) => name), [])
})

test('no doc comment is cut at a word that TypeScript takes for a tag', () => {
  assert.deepEqual(names.flatMap(({ name, tags }) => tags.filter((tag) => !TAGS.includes(tag)).map((tag) => `${name}: @${tag}`)), [])
})
