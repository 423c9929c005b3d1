/**
 * Reads the README and docs/ well enough to test them: code blocks, tables, headings and links.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

export const ROOT = join(import.meta.dirname, '../..')

/** A fenced block of code. */
export interface CodeBlock {
  /** Where it is, as `docs/explanation/lifecycle.md:40`. */
  place: string
  language: string
  /** Said behind the language: `fragment`, `output`. */
  flags: string[]
  text: string
  /** What it prints, when a block ```` ```text output ```` follows. */
  output: string | undefined
}

export interface Document {
  /** Path below the root, with forward slashes. */
  path: string
  /** Lines, without those of code blocks, which are empty here. */
  prose: string[]
  blocks: CodeBlock[]
}

/** Every document for users. */
export function documents (): Document[] {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name.replaceAll('\\', '/')}`)
    .toSorted()
  return ['README.md', 'CHANGELOG.md', ...docs].map(readDocument)
}

export function readDocument (path: string): Document {
  const prose: string[] = []
  const blocks: CodeBlock[] = []
  let open: CodeBlock | null = null
  let previous: CodeBlock | null = null
  let between = ''
  for (const [index, line] of readFileSync(join(ROOT, path), 'utf8').split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line)
    if (fence === null) {
      if (open !== null) open.text += `${line}\n`
      else between += line
      prose.push(open === null ? line : '')
      continue
    }
    prose.push('')
    if (open === null) {
      const [language = '', ...flags] = fence[1]!.trim().split(/\s+/)
      open = { place: `${path}:${index + 1}`, language, flags, text: '', output: undefined }
      continue
    }
    const { flags, text } = open
    if (flags.includes('output') && previous !== null && between.trim() === '') previous.output = text
    else if (flags.includes('output')) throw new Error(`${open.place}: an output must follow the block that prints it`)
    blocks.push(open)
    previous = open
    open = null
    between = ''
  }
  if (open !== null) throw new Error(`${open.place}: this block has no end`)
  return { path, prose, blocks }
}

/** A row of a table, by the heading of the column. */
export type Row = Record<string, string>

/** Rows of every table that has these columns, first to last; the cells are markdown. */
export function tables ({ prose }: Document, ...columns: string[]): Row[] {
  const rows: Row[] = []
  for (let line = 0; line < prose.length; line++) {
    const headings = cells(prose[line]!)
    if (!/^\|[-| :]+\|$/.test(prose[line + 1] ?? '') || !columns.every((column) => headings.includes(column))) continue
    for (line += 2; prose[line]?.startsWith('|'); line++) {
      const values = cells(prose[line]!)
      rows.push(Object.fromEntries(headings.map((heading, column) => [heading, values[column] ?? ''])))
    }
  }
  return rows
}

/** What stands in the first `code` of a cell; undefined where there is none. */
export function codeIn (cell: string | undefined): string | undefined {
  return /`([^`]+)`/.exec(cell ?? '')?.[1]
}

/** A link to a file of the project, or into one. */
export interface Link { place: string, target: string, path: string, anchor: string | undefined }

/** Relative links outside of code. */
export function relativeLinks ({ path, prose }: Document): Link[] {
  return prose.flatMap((line, index) => [...line.replace(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [file = '', anchor] = target.split('#')
      const absolute = file === '' ? join(ROOT, path) : join(ROOT, dirname(path), file)
      return { place: `${path}:${index + 1}`, target, path: relative(ROOT, absolute).replaceAll('\\', '/'), anchor }
    }))
}

export function exists (path: string): boolean {
  return existsSync(join(ROOT, path))
}

/** The anchors of the headings, as GitHub makes them. */
export function anchors ({ prose }: Document): Set<string> {
  const seen = new Map<string, number>()
  return new Set(prose.filter((line) => /^#{1,6} /.test(line)).map((line) => {
    const text = line.replace(/^#+ /, '').replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    const slug = text.toLowerCase().replace(/[^\p{L}\p{N}_\- ]/gu, '').replaceAll(' ', '-')
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    return count === 0 ? slug : `${slug}-${count}`
  }))
}

function cells (line: string): string[] {
  if (!line.startsWith('|')) return []
  return line.trim().slice(1, -1).split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'))
}
