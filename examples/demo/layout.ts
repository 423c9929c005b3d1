// The layout of the tables: columns and lines within 98 characters.

import { styleText } from 'node:util'

const labelWidth = 42
const tableWidth = 98

/** A label, then the lines of each cell. */
export type Row = [label: string, ...cells: string[][]]

export const rule = (): string => dim('─'.repeat(tableWidth))

export function renderRow ([label, ...cells]: Row): string {
  const columnWidth = Math.floor((tableWidth - labelWidth) / cells.length)
  const height = Math.max(1, ...cells.map((cell) => cell.length))
  return Array.from({ length: height }, (_, line) => {
    const columns = cells.map((cell) => (cell[line] ?? '').padEnd(columnWidth))
    return ((line === 0 ? label : '').padEnd(labelWidth) + columns.join('')).trimEnd()
  }).join('\n')
}

/** Breaks a text into lines as wide as the table. */
export function wrap (text: string): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1)!
    if (last.length + word.length >= tableWidth) lines.push(word)
    else lines[lines.length - 1] = last ? `${last} ${word}` : word
  }
  return lines
}

export function bold (text: string): string {
  return isStyled() ? styleText('bold', text) : text
}

export function dim (text: string): string {
  return isStyled() ? styleText('dim', text) : text
}

function isStyled (): boolean {
  return process.stdout.isTTY && !process.env.NO_COLOR
}
