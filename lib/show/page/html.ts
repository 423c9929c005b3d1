/**
 * HTML from templates. Every value is escaped here and nowhere else; only what another template has made is taken as it is.
 */

/** HTML that a template has made. */
export class Markup {
  readonly text: string

  constructor (text: string) {
    this.text = text
  }
}

/** A value in a template; a list is joined, and undefined, null and false are nothing. */
export type Content = string | number | undefined | null | false | Markup | readonly Content[]

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** The template tag. Attributes must be in quotes. */
export function html (parts: TemplateStringsArray, ...values: Content[]): Markup {
  return new Markup(String.raw({ raw: parts }, ...values.map(toHtml)))
}

function toHtml (value: Content): string {
  if (value instanceof Markup) return value.text
  if (Array.isArray(value)) return value.map(toHtml).join('')
  if (value === undefined || value === null || value === false) return ''
  return String(value).replace(/[&<>"']/g, (character) => ENTITIES[character]!)
}

/** Most characters of a value in a table. */
const MAX_CELL = 80

/** Cuts a long value for a table. */
export function cut (value: string, length = MAX_CELL): string {
  // Not in the middle of a surrogate pair.
  return value.length > length ? `${value.slice(0, length).replace(/[\ud800-\udbff]$/, '')}…` : value
}

/** A link of the page to itself: its query alone, so that it is right behind every prefix and every proxy. */
export function href (parameters: Record<string, string | number | undefined>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== '') as Array<[string, string]>
  return `?${new URLSearchParams(given).toString()}`
}

/** Formats a number. */
export function count (value: number): string { return value.toLocaleString('en') }

/** Formats a number of bytes. */
export function bytes (value: number): string {
  if (value < 1_000) return `${value} B`
  const [unit, name] = value < 1e6 ? [1e3, 'kB'] : value < 1e9 ? [1e6, 'MB'] : [1e9, 'GB']
  return `${(value / unit).toFixed(1)} ${name}`
}

/** Formats milliseconds. */
export function duration (milliseconds: number): string {
  const seconds = milliseconds / 1_000
  if (seconds < 1) return `${Math.round(milliseconds)} ms`
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const [unit, smaller, names] = seconds < 3_600 ? [60, 1, ['min', 's']] : seconds < 86_400 ? [3_600, 60, ['h', 'min']] : [86_400, 3_600, ['d', 'h']]
  return `${Math.floor(seconds / unit)} ${names[0]} ${Math.floor(seconds % unit / smaller)} ${names[1]}`
}

/** The last time that a Date can have, epoch milliseconds. */
const LAST = 8.64e15

/** Formats epoch milliseconds, in UTC. */
export function time (at: number): Markup {
  // Other nodes tell times, too: those are unchecked.
  if (!(Math.abs(at) <= LAST)) return html`never`
  const iso = new Date(at).toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace('T', ' ')}</time>`
}
