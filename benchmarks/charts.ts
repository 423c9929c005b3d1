/**
 * The charts of docs/explanation/benchmarks.md as SVG, rendered by echarts. Nothing is computed here. Text and lines are legible
 * on white and on black, and no meaning depends on colour alone: bars have their names beside them, lines differ in dashes and
 * marks and end in their names.
 */

/** One bar, with the spread of its rounds. */
export interface Bar { name: string, median: number, min: number, max: number }

/** Bars with an axis of their own; one of several panels of a chart. */
export interface BarPanel { title: string, bars: Bar[] }

/** The cost at each size. */
export interface Line { name: string, points: Array<[connections: number, value: number]> }

export interface LinePanel { title: string, lines: Line[] }

/** Draws a chart of panels. */
export interface Draw {
  bars (title: string, panels: BarPanel[]): string
  lines (title: string, panels: LinePanel[]): string
}

interface Chart {
  setOption (option: object): void
  renderToSVGString (): string
  dispose (): void
}
interface Library { init (element: null, theme: null, options: object): Chart }

const WIDTH = 860
/** Height of one bar with its margin, and of the plot above a line's axis. */
const BAR = 30
const PLOT = 126
/** Contrast of at least 4:1 on white and on GitHub's dark page. */
const TEXT = '#757575'
const RULE = 'rgba(128, 128, 128, 0.35)'
/** The palette of Okabe and Ito: distinct for every kind of colour vision, and by lightness. */
const OURS = '#0080c8'
const FLOOR = '#009e73'
const OTHERS = '#a0a0a0'
const WHISKER = '#d55e00'

const FONT = { color: TEXT, fontFamily: 'sans-serif', fontSize: 13 }
/** Marks and dashes that distinguish peers. */
const DASHES = ['dashed', 'dotted', [8, 3, 2, 3], [2, 6]]
const MARKS = ['rect', 'triangle', 'diamond', 'pin']

/** null if echarts is not installed: it belongs to the benchmarks' own packages, and the report works without charts. */
export async function loadCharts (): Promise<Draw | null> {
  // A variable name, which the type checker does not resolve.
  const name: string = 'echarts'
  let library: Library
  try {
    library = await import(name) as Library
  } catch {
    return null
  }
  return {
    bars: (title, panels) => drawBars(library, title, panels),
    lines: (title, panels) => drawLines(library, title, panels)
  }
}

/** Panels side by side. */
function drawBars (library: Library, title: string, panels: BarPanel[]): string {
  const names = Math.max(...panels.flatMap(({ bars }) => bars.map(({ name }) => name.length))) * 7.5 + 16
  const width = WIDTH / panels.length
  const height = 92 + Math.max(...panels.map(({ bars }) => bars.length)) * BAR
  return render(library, title, height, {
    title: [heading(title), ...panels.map((panel, i) => subheading(panel.title, i * width))],
    grid: panels.map((panel, i) => ({ left: i * width + names, top: 74, width: width - names - 64, height: panel.bars.length * BAR })),
    xAxis: panels.map(({ bars }, i) => ({
      ...{ type: 'value', gridIndex: i, min: 0, max: Math.max(...bars.map(({ max }) => max), Number.MIN_VALUE) },
      ...{ axisLabel: { show: false }, splitLine: { show: false } }
    })),
    yAxis: panels.map(({ bars }, i) => ({
      ...{ type: 'category', gridIndex: i, inverse: true, data: bars.map(({ name }) => name), axisLabel: FONT },
      ...{ axisTick: { show: false }, axisLine: { lineStyle: { color: RULE } } }
    })),
    series: panels.flatMap(({ bars }, i) => [
      { type: 'bar', xAxisIndex: i, yAxisIndex: i, silent: true, barWidth: 16, data: bars.map(bar) },
      whiskers(bars, i)
    ])
  })
}

/** A difference can be below 0; the bar has no length then. */
function bar ({ name, median }: Bar): object {
  const color = isOurs(name) ? OURS : name === 'floor' ? FLOOR : OTHERS
  return { value: Math.max(median, 0), itemStyle: { color } }
}

/** A line from the minimum to the maximum of the rounds, followed by the median as a number. */
function whiskers (bars: Bar[], index: number): object {
  interface Api { value (column: number): number, coord (point: number[]): [number, number] }
  return {
    ...{ type: 'custom', xAxisIndex: index, yAxisIndex: index, silent: true, z: 3 },
    data: bars.map(({ min, max }, row) => [Math.max(min, 0), row, Math.max(max, 0)]),
    renderItem: (_parameters: object, api: Api) => {
      const row = api.value(1)
      const [from, y] = api.coord([api.value(0), row])
      const [to] = api.coord([api.value(2), row])
      const { name, median } = bars[row]!
      const line = (x1: number, y1: number, x2: number, y2: number) => ({ type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke: WHISKER, lineWidth: 1.5 } })
      return {
        type: 'group',
        children: [
          ...to - from < 2 ? [] : [line(from, y, to, y), line(from, y - 4, from, y + 4), line(to, y - 4, to, y + 4)],
          {
            type: 'text',
            style: { text: figure(median), x: to + 6, y, verticalAlign: 'middle', fill: TEXT, font: `${isOurs(name) ? 'bold ' : ''}13px sans-serif` }
          }
        ]
      }
    }
  }
}

/** Panels in rows of three. */
function drawLines (library: Library, title: string, panels: LinePanel[]): string {
  const columns = Math.min(panels.length, 3)
  const width = WIDTH / columns
  const height = 210
  const rows = Math.ceil(panels.length / columns)
  const place = (i: number) => ({ left: i % columns * width, top: 44 + Math.floor(i / columns) * height })
  const axes = panels.map(({ lines }) => axisOf(lines))
  return render(library, title, 50 + rows * height, {
    title: [heading(title), ...panels.map((panel, i) => subheading(panel.title, place(i).left, place(i).top))],
    grid: panels.map((_panel, i) => ({ left: place(i).left + 46, top: place(i).top + 38, width: width - 46 - 84, height: PLOT })),
    xAxis: panels.map(({ lines }, i) => {
      const sizes = sizesOf(lines)
      return {
        ...{ type: 'value', gridIndex: i, min: 0, max: sizes.at(-1), splitLine: { show: false }, axisLine: { lineStyle: { color: RULE } } },
        axisTick: { show: true, customValues: sizes, lineStyle: { color: RULE } },
        axisLabel: { ...FONT, fontSize: 11, customValues: sizes, formatter: figure }
      }
    }),
    yAxis: panels.map((_panel, i) => ({
      ...{ type: 'value', gridIndex: i, min: 0, ...axes[i], axisLabel: { ...FONT, fontSize: 11, formatter: figure } },
      ...{ splitLine: { lineStyle: { color: RULE } } }
    })),
    series: panels.flatMap(({ lines }, i) => {
      const peers = lines.filter(({ name }) => !isOurs(name) && name !== 'floor')
      const shifts = labelShifts(lines, axes[i]!.max)
      return lines.map((line, l) => {
        const peer = peers.indexOf(line)
        const color = peer >= 0 ? OTHERS : isOurs(line.name) ? OURS : FLOOR
        return {
          ...{ type: 'line', xAxisIndex: i, yAxisIndex: i, silent: true, clip: false, data: line.points },
          ...{ symbol: peer >= 0 ? MARKS[peer % MARKS.length] : isOurs(line.name) ? 'circle' : 'emptyCircle', symbolSize: 7, itemStyle: { color } },
          lineStyle: { color, width: isOurs(line.name) ? 3 : 2, type: peer >= 0 ? DASHES[peer % DASHES.length] : 'solid' },
          endLabel: { ...FONT, show: true, fontSize: 12, fontWeight: isOurs(line.name) ? 'bold' : 'normal', formatter: line.name, offset: [0, shifts[l]] }
        }
      })
    })
  })
}

/** Three or four ticks at round numbers. */
function axisOf (lines: Line[]): { max: number, interval: number } {
  const most = Math.max(...lines.flatMap(({ points }) => points.map(([, value]) => value)), Number.MIN_VALUE)
  const power = 10 ** Math.floor(Math.log10(most / 3))
  const interval = [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step * 4 >= most)!
  return { interval, max: Math.ceil(most / interval) * interval }
}

/** Offsets in pixels of the names at the ends of lines, so that they do not overlap. */
function labelShifts (lines: Line[], max: number): number[] {
  const ends = lines.map(({ points }) => (1 - points.at(-1)![1] / max) * PLOT)
  const shifts = ends.map(() => 0)
  // From the lowest up: an overlapping name moves up.
  let room = Infinity
  for (const i of ends.map((_end, i) => i).sort((a, b) => ends[b]! - ends[a]!)) {
    room = Math.min(ends[i]!, room)
    shifts[i] = room - ends[i]!
    room -= 13
  }
  return shifts
}

function sizesOf (lines: Line[]): number[] {
  return [...new Set(lines.flatMap(({ points }) => points.map(([size]) => size)))].sort((a, b) => a - b)
}

function isOurs (name: string): boolean {
  return name === 'ours' || name.startsWith('ours,')
}

function heading (text: string): object {
  return { text, left: 8, top: 4, textStyle: { ...FONT, fontSize: 16, fontWeight: 'bold' } }
}

function subheading (text: string, left: number, top = 40): object {
  return { text, left: left + 8, top, textStyle: { ...FONT, fontSize: 13, fontWeight: 'normal' } }
}

/** Three digits with thousands separators; a dash for what is not a number. */
export function figure (value: number): string {
  if (!Number.isFinite(value)) return '–'
  const rounded = Math.abs(value) >= 1_000 ? Math.round(value) : Number(value.toPrecision(3))
  return rounded.toLocaleString('en', { maximumFractionDigits: 6 })
}

function render (library: Library, title: string, height: number, option: object): string {
  const chart = library.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  try {
    chart.setOption({ animation: false, backgroundColor: 'transparent', ...option })
    return chart.renderToSVGString()
      // Elements that react to a mouse.
      .replace(/<style[^]*?<\/style>/g, '')
      .replace(/ (?:class|ecmeta_\w+|pointer-events)="[^"]*"/g, '')
      .replace('<svg ', '<svg role="img" ')
      .replace('>', `><title>${title.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</title>`)
      .replace(/\n+/g, '\n').trimEnd() + '\n'
  } finally {
    // Otherwise a timer of echarts keeps the process alive.
    chart.dispose()
  }
}
