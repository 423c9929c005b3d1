/**
 * The chart of arrivals as SVG: clients in each second, as a part of what the nodes that stay can take.
 */

export interface Line {
  readonly name: string
  readonly color: string
  readonly dashes: string
  readonly seconds: readonly number[]
}

const WIDTH = 860
const HEIGHT = 340
const LEFT = 56
const TOP = 62
const PLOT = { width: 780, height: 220 }
const SECONDS = 60
/** What is above it is cut off; the legend says how high it is. */
const MOST = 2
/** Contrast of at least 4:1 on white and on GitHub's dark page. */
const TEXT = '#757575'
const FONT = 'font-family="sans-serif" font-size="13"'

const x = (second: number) => (LEFT + second / SECONDS * PLOT.width).toFixed(1)
const y = (part: number) => (TOP + (1 - Math.min(part, MOST) / MOST) * PLOT.height).toFixed(1)

/** Draws lines of clients in each second; the nodes that stay can take `capacity` of them. */
export function chart (title: string, lines: readonly Line[], capacity: number): string {
  const text = (left: number | string, top: number | string, content: string, more = '') => `<text x="${left}" y="${top}" fill="${TEXT}" ${FONT} ${more}>${content}</text>`
  const rule = (part: number) => `<line x1="${LEFT}" x2="${LEFT + PLOT.width}" y1="${y(part)}" y2="${y(part)}" stroke="${TEXT}" stroke-width="${part === 1 ? 2 : 0.5}"/>`
  return [
    `<svg role="img" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}"><title>${title}</title>`,
    text(8, 22, title, 'font-weight="bold"'),
    ...[0, 0.5, 1, 1.5, 2].flatMap((part) => [rule(part), text(LEFT - 8, Number(y(part)) + 4, `${part * 100} %`, 'text-anchor="end"')]),
    ...[0, 10, 20, 30, 40, 50, 60].map((second) => text(x(second), TOP + PLOT.height + 18, `${second} s`, 'text-anchor="middle"')),
    text(LEFT + PLOT.width, Number(y(1)) - 6, 'what the nodes that stay can take', 'text-anchor="end"'),
    ...lines.map(({ color, dashes, seconds }) => {
      const points = Array.from({ length: SECONDS }, (_, second) => `${x(second + 0.5)},${y((seconds[second] ?? 0) / capacity)}`)
      return `<polyline points="${points.join(' ')}" fill="none" stroke="${color}" stroke-width="2.5" stroke-dasharray="${dashes}"/>`
    }),
    ...lines.flatMap(({ name, color, dashes, seconds }, i) => {
      const left = LEFT + i * PLOT.width / lines.length
      const most = Math.max(...seconds) / capacity
      return [
        `<line x1="${left.toFixed(0)}" x2="${(left + 28).toFixed(0)}" y1="42" y2="42" stroke="${color}" stroke-width="2.5" stroke-dasharray="${dashes}"/>`,
        text((left + 34).toFixed(0), 46, most > MOST ? `${name} (up to ${(most * 100).toFixed(0)} %)` : name)
      ]
    }),
    text(LEFT, HEIGHT - 12, 'Time since the first node began to leave. Above 200 % lines are cut off.'),
    '</svg>\n'
  ].join('\n')
}
