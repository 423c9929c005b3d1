/**
 * HTML and the formats of values.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { bytes, cut, duration, href, html, time } from '../../../lib/show/page/html.ts'

test('every value is escaped, and only templates are HTML', () => {
  const value = '<a href="?a&b">\'</a>'
  assert.equal(html`<p title="${value}">${[value, html`<b>${1}</b>`]}</p>`.text,
    '<p title="&lt;a href=&quot;?a&amp;b&quot;&gt;&#39;&lt;/a&gt;">&lt;a href=&quot;?a&amp;b&quot;&gt;&#39;&lt;/a&gt;<b>1</b></p>')
  assert.equal(html`${undefined}${null}${false}${''}${0}`.text, '0')
  assert.equal(html`\n`.text, '\n')
})

test('long values are cut, between characters', () => {
  assert.equal(cut('a'.repeat(80)), 'a'.repeat(80))
  assert.equal(cut('a'.repeat(81)), `${'a'.repeat(80)}…`)
  assert.equal(cut('ab😀', 3), 'ab…')
})

test('links have the parameters that are given', () => {
  assert.equal(href({ q: 'a&b=c', sort: undefined, state: '', id: 7 }), '?q=a%26b%3Dc&id=7')
})

test('durations, sizes and times are written for people', () => {
  assert.deepEqual([0, 999, 1_000, 61_000, 3_661_000, 90_000_000].map(duration), ['0 ms', '999 ms', '1.0 s', '1 min 1 s', '1 h 1 min', '1 d 1 h'])
  assert.deepEqual([999, 1_000, 2_500_000, 3e9].map(bytes), ['999 B', '1.0 kB', '2.5 MB', '3.0 GB'])
  assert.equal(time(Date.UTC(2026, 0, 2, 3, 4, 5)).text, '<time datetime="2026-01-02T03:04:05.000Z">2026-01-02 03:04:05</time>')
  assert.equal(time(Infinity).text, 'never')
})
