/**
 * Reads the imports of a TypeScript file, well enough for lib/: no compiler, so that the check stays fast and TypeScript-version-free.
 */

/** One import, re-export or `import()`. */
export interface Import {
  specifier: string
  /** Erased by the compiler: `import type …`. `import { type A }` is not: `import {} from` stays and loads the module. */
  typeOnly: boolean
}

// Comments are dropped, strings kept, so that neither a commented import nor '// in a string' misleads what follows.
const COMMENT_OR_STRING = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)/g

const CLAUSE = String.raw`(?:[\w$]+\s*,?\s*)?(?:\{[^}]*\}|\*(?:\s+as\s+[\w$]+)?)?\s*from`
const STATEMENT = new RegExp(
  String.raw`^[ \t]*(?:import|export)\b(?<type>\s+type\b(?!\s*,|\s+from\b))?\s*(?:${CLAUSE})?\s*(?<quote>['"])(?<specifier>[^'"]+)\k<quote>`, 'gm')

// `typeof import('x')` and `import('x').Name` are types.
const DYNAMIC = /(?<typeof>\btypeof\s+)?\bimport\(\s*(?<quote>['"`])(?<specifier>[^'"`]+)\k<quote>\s*\)(?<member>\.[A-Z])?/g

/** Returns every import of a source text, statements first. */
export function readImports (source: string): Import[] {
  const code = source.replace(COMMENT_OR_STRING, (_match, string?: string) => string ?? ' ')
  const statements = [...code.matchAll(STATEMENT)].map(({ groups }) => ({
    specifier: groups?.specifier ?? '',
    typeOnly: groups?.type !== undefined
  }))
  const dynamic = [...code.matchAll(DYNAMIC)].map(({ groups }) => ({
    specifier: groups?.specifier ?? '',
    typeOnly: groups?.typeof !== undefined || groups?.member !== undefined
  }))
  return [...statements, ...dynamic]
}
