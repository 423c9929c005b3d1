/**
 * Tables whose columns sort by links, and whose pages follow each other by places: links and plain HTML, so that they need no script.
 */
import { count, href, html } from './html.ts'
import type { Content, Markup } from './html.ts'
import type { Picked, Place } from './pick.ts'

/** A column of a table. */
export interface Column<T> {
  readonly name: string
  /** Name of the order by this column; undefined: it does not sort. */
  readonly sort?: string
  /** What the order compares. */
  readonly key?: (item: T) => string | number
  /** Whether the least comes first until its heading is clicked again. */
  readonly ascending?: true
  /** Whether it has numbers. */
  readonly numeric?: true
  /** What a row shows. */
  readonly cell: (item: T) => Content
}

/** An order and the filters that a view was asked for. */
export interface Asked {
  readonly parameters: Record<string, string | undefined>
  readonly sort: string
  readonly descending: boolean
}

/** Returns the order that a query asks for, or that of the first column. */
export function orderIn<T> (query: URLSearchParams, columns: ReadonlyArray<Column<T>>): { sort: string, descending: boolean, key: (item: T) => string | number } {
  const { sort, key, ascending } = columns.find((column) => column.sort !== undefined && column.sort === query.get('sort')) ?? columns[0]!
  const dir = query.get('dir')
  return { sort: sort!, key: key!, descending: dir === 'asc' || dir === 'desc' ? dir === 'desc' : ascending !== true }
}

/** Returns the place behind which, or before which, a query asks for rows. */
export function placesIn (query: URLSearchParams): { after?: Place | undefined, before?: Place | undefined } {
  return { after: parse(query.get('after')), before: parse(query.get('before')) }
}

function parse (text: string | null): Place | undefined {
  const [, id, key] = /^(\d{1,15}):(.*)$/s.exec(text ?? '') ?? []
  if (id === undefined || key === undefined) return undefined
  return { id: Number(id), key: key.startsWith('=') ? key.slice(1) : Number(key) }
}

/** Text of a key is marked, for it may look like a number. */
function write (place: Place | undefined): string | undefined {
  return place && `${place.id}:${typeof place.key === 'string' ? '=' : ''}${place.key}`
}

/** Writes rows below headings; without any, below the names of the columns. */
export function grid<T> (label: string, columns: ReadonlyArray<Column<T>>, rows: readonly T[], headings: Content = columns.map((column) => heading(column, null, null))): Markup {
  return html`<div class="table" tabindex="0" role="region" aria-label="${label}">
<table>
<thead><tr>${headings}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${columns.map(({ numeric, cell }) => html`<td${numeric && html` class="n"`}>${cell(row)}</td>`)}</tr>
`)}</tbody>
</table>
</div>`
}

/** Writes a page of rows, and what follows them. */
export function table<T> (label: string, columns: ReadonlyArray<Column<T>>, { rows, total, first, previous, next }: Picked<T>, { parameters, sort, descending }: Asked, more?: Content): Markup {
  const link = (more: Record<string, string | undefined>) => href({ ...parameters, sort, dir: descending ? 'desc' : 'asc', ...more })
  return html`
<div id="rows">
${grid(label, columns, rows, columns.map((column) => heading(column, column.sort === sort ? descending : null, (dir) => link({ sort: column.sort, dir }))))}
<p class="pager">${total === 0 ? 'None' : rows.length === 0 ? `${count(total)} in all` : `${count(first)}–${count(first + rows.length - 1)} of ${count(total)}`}
${(previous !== undefined || rows.length < total) && html` <a href="${link({})}">First</a>`}
${previous !== undefined && html` <a rel="prev" href="${link({ before: write(previous) })}">Previous</a>`}
${next !== undefined && html` <a rel="next" href="${link({ after: write(next) })}">Next</a>`}</p>
${more}</div>`
}

/** `descending`: null if the table is not sorted by this column. */
function heading<T> ({ name, sort, numeric, ascending }: Column<T>, descending: boolean | null, link: ((dir: string) => string) | null): Markup {
  const ascends = descending ?? ascending === true
  const content = sort === undefined || link === null ? name : html`<a href="${link(ascends ? 'asc' : 'desc')}">${name}</a>`
  return html`<th scope="col"${numeric && html` class="n"`}${descending !== null && html` aria-sort="${descending ? 'descending' : 'ascending'}"`}>${content}</th>`
}

/** The fields of a form that keep an order. */
export function keepOrder (sort: string, descending: boolean): Markup {
  return html`<input type="hidden" name="sort" value="${sort}"><input type="hidden" name="dir" value="${descending ? 'desc' : 'asc'}">`
}

/** A field to choose one of some values. */
export function select (name: string, label: string, values: readonly string[], chosen: string): Markup {
  return html`<label>${label} <select name="${name}"><option value="">any</option>${values.map((value) => html`<option${value === chosen && html` selected`}>${value}</option>`)}</select></label>`
}

/** A list of names and values. */
export function facts (entries: ReadonlyArray<readonly [string, Content]>): Markup {
  return html`<dl class="facts">${entries.filter(([, value]) => value !== undefined && value !== false && value !== '').map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`
}
