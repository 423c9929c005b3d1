/**
 * Writes from the results docs/explanation/benchmarks.md with its charts, benchmarks/*.svg, the pages made of templates, and the table of
 * a deploy in the README; no figure in them is written by hand.
 *
 * main.ts does it after a run of everything; `node --import ./scripts/typescript.js benchmarks/report.ts [results.json] [folder]` does it again.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { figure, loadCharts } from './charts.ts'
import type { Draw } from './charts.ts'
import { barsOf, factor, find, findLargest, largest, linesOf, table, unique } from './report-rows.ts'
import { fillTemplate, PAGES } from './templates.ts'
import { withDeploy } from './report-deploy.ts'
import { profileTable } from './report-profile.ts'
import { CANDIDATES, describe, meaning, SCENARIOS } from './report-text.ts'
import { PARTS } from './results.ts'
import type { Machine, Results, ScenarioResult } from './results.ts'

const ROOT = join(import.meta.dirname, '..')
const DOCS = join(ROOT, 'docs')

/** Bar charts: all candidates, at the greatest size. */
const BARS: Array<{ scenario: string, title: string, panels: Array<{ metric: string, title: string }> }> = [
  { scenario: 'memory', title: 'Heap of an idle connection', panels: [{ metric: 'heap', title: 'bytes a connection' }] },
  {
    scenario: 'heartbeat',
    title: 'A heartbeat, all idle',
    panels: [{ metric: 'CPU, all idle', title: 'CPU, µs a connection and beat' }, { metric: 'stall, all idle', title: 'longest stall, ms' }]
  },
  {
    scenario: 'broadcast',
    title: 'A broadcast of 64 bytes',
    panels: [{ metric: 'CPU, 64 B', title: 'CPU, µs a peer' }, { metric: 'stall, 64 B', title: 'longest stall of the event loop, ms' }]
  },
  {
    scenario: 'close',
    title: 'Closing a server',
    panels: [{ metric: 'stall, cooperative', title: 'longest stall of the event loop, ms' }, { metric: 'total, cooperative', title: 'until the last client has gone, ms' }]
  }
]

const SCALING = 'CPU and heap by the number of connections'

/** Line charts: the cost per connection at each size, for this plugin, the relevant peers and the floor. */
const LINES: Array<{ scenario: string, metric: string, title: string, candidates: string[] }> = [
  { scenario: 'memory', metric: 'heap', title: 'heap, bytes a connection', candidates: ['ours', 'bare', 'ws'] },
  { scenario: 'heartbeat', metric: 'CPU, all idle', title: 'CPU of a beat, µs a connection', candidates: ['ours', 'ws recipe', 'floor'] },
  { scenario: 'broadcast', metric: 'CPU, 64 B', title: 'CPU of a broadcast, µs a peer', candidates: ['ours', 'ws', 'Socket.IO', 'floor'] },
  { scenario: 'close', metric: 'CPU, cooperative', title: 'CPU of closing, µs a connection', candidates: ['ours', 'bare', 'floor'] },
  { scenario: 'handshakes', metric: 'CPU', title: 'CPU of a handshake, µs', candidates: ['ours', 'bare', 'floor'] },
  { scenario: 'echo', metric: 'CPU', title: 'CPU of an echoed message, µs', candidates: ['ours', 'bare', 'floor'] }
]

/** The summary: this plugin beside the peer, at the greatest size that both have. A peer of another scenario is not of the same rounds. */
const HEADLINES: Array<{ scenario: string, metric: string, text: string, peer?: string, elsewhere?: { scenario: string, metric: string } }> = [
  { scenario: 'memory', metric: 'heap', text: 'heap of an idle connection', peer: 'bare' },
  { scenario: 'heartbeat', metric: 'CPU, all idle', text: 'CPU of a beat, all idle', peer: 'ws recipe' },
  { scenario: 'in-process', metric: 'beat, all active', text: 'CPU of a beat, all active, in-process', peer: 'ws recipe', elsewhere: { scenario: 'heartbeat', metric: 'CPU, all active' } },
  { scenario: 'heartbeat', metric: 'stall, all idle', text: 'longest stall of a beat', peer: 'ws recipe' },
  { scenario: 'broadcast', metric: 'CPU, 64 B', text: 'CPU of a broadcast of 64 B', peer: 'ws' },
  { scenario: 'broadcast', metric: 'stall, 64 B', text: 'longest stall of a broadcast', peer: 'ws' },
  { scenario: 'close', metric: 'CPU, cooperative', text: 'CPU of closing', peer: 'bare' },
  { scenario: 'close', metric: 'stall, cooperative', text: 'longest stall of closing', peer: 'bare' },
  { scenario: 'close', metric: 'close(), cooperative', text: 'closing all clients: `app.close()`', peer: 'bare' },
  { scenario: 'close', metric: 'total, cooperative', text: 'closing all clients: the last client', peer: 'bare' },
  { scenario: 'close', metric: 'total, 1 % silent', text: 'closing all clients, 1 % silent', peer: 'bare' },
  { scenario: 'close', metric: 'codes, cooperative', text: 'close codes that were read', peer: 'bare' },
  { scenario: 'handshakes', metric: 'CPU', text: 'CPU of a handshake', peer: 'bare' },
  { scenario: 'in-process', metric: 'added to handshake', text: 'added to a handshake, in-process' },
  { scenario: 'echo', metric: 'CPU', text: 'CPU of an echoed message', peer: 'bare' },
  { scenario: 'in-process', metric: 'added to message, sync listener', text: 'added to a message, in-process' },
  { scenario: 'fleet', metric: 'connections of an owner', text: 'ten nodes: where an owner is connected', peer: 'Socket.IO with redis-adapter' },
  { scenario: 'fleet', metric: 'page of connections', text: 'ten nodes: a list of connections', peer: 'Socket.IO with redis-adapter' },
  { scenario: 'fleet', metric: 'broadcast to a tag', text: 'ten nodes: a broadcast to a tag', peer: 'Socket.IO with redis-adapter' },
  { scenario: 'fleet', metric: 'disconnect of an owner', text: 'ten nodes: disconnecting an owner', peer: 'Socket.IO with redis-adapter' }
]

/** Notes below the summary, if it has their marks. */
const NOTES = [
  '¹ A ratio of two medians: the peer was measured over sockets, in another scenario.',
  '² For the rest of the stall the server waited for a core: the clients and the kernel ran on the same ones.'
]

/** Returns the paths of what it wrote. `folder` is for trials; the default is docs. */
export async function writeReport (results: Results, folder = DOCS): Promise<string[]> {
  const draw = await loadCharts()
  if (draw === null) console.error('No charts in this report: echarts is not installed (npm ci --prefix benchmarks)')
  const charts = draw === null ? new Map<string, string>() : drawCharts(results, draw)
  const pictures = join(folder, 'explanation/benchmarks')
  mkdirSync(pictures, { recursive: true })
  // Charts of an earlier run are removed, and no other files.
  for (const name of readdirSync(pictures)) if (name.endsWith('.svg')) rmSync(join(pictures, name))
  const written = [...charts].map(([name, svg]) => write(join(pictures, `${name}.svg`), svg))
  return [write(join(folder, 'explanation/benchmarks.md'), page(results, charts)), ...written, ...writePages(results, folder), ...folder === DOCS ? [writeReadme(results)] : []]
}

/** Writes the pages made of templates, except those that need a figure the results lack. */
function writePages (results: Results, folder: string): string[] {
  return Object.entries(PAGES).flatMap(([path, template]) => {
    try {
      const text = fillTemplate(readFileSync(join(import.meta.dirname, template), 'utf8'), results)
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      return [write(join(folder, path), text)]
    } catch (error) {
      console.error(`No ${path} from these results: ${(error as Error).message}`)
      return []
    }
  })
}

function writeReadme (results: Results): string {
  const path = join(ROOT, 'README.md')
  return write(path, withDeploy(readFileSync(path, 'utf8'), results))
}

function write (path: string, text: string): string {
  writeFileSync(path, text)
  return relative(process.cwd(), path)
}

/** Charts by name, without those that have no figures. */
function drawCharts ({ scenarios }: Results, draw: Draw): Map<string, string> {
  const charts = new Map<string, string>()
  for (const { scenario, title, panels } of BARS) {
    const result = scenarios[scenario]
    if (result === undefined) continue
    const found = panels.map((panel) => ({ title: panel.title, bars: barsOf(result, panel.metric) })).filter(({ bars }) => bars.length > 0)
    const connections = largest(result, panels[0]!.metric)
    if (found.length > 0) charts.set(scenario, draw.bars(connections === undefined ? title : `${title}, ${figure(connections)} connections`, found))
  }
  const panels = LINES.flatMap(({ scenario, metric, title, candidates }) => {
    const lines = scenario in scenarios ? linesOf(scenarios[scenario]!, metric, candidates) : []
    return lines.length === 0 ? [] : [{ title, lines }]
  })
  if (panels.length > 0) charts.set('scaling', draw.lines(SCALING, panels))
  return charts
}

function page (results: Results, charts: Map<string, string>): string {
  const { machine, scenarios } = results
  const candidates = unique(Object.values(scenarios).flatMap(({ sizes }) => sizes.flatMap(({ rows }) => rows.map(({ candidate }) => candidate))))
  const known = Object.keys(CANDIDATES).filter((name) => candidates.some((candidate) => candidate === name || describe(candidate) === CANDIDATES[name]))
  const lines = [
    '# Benchmarks',
    '',
    '<!-- Written by benchmarks/report.ts from benchmarks/results/latest.json: do not edit. -->',
    '',
    ...wrap(`Measured on ${machine.date.slice(0, 10)} with \`npm run bench\`, which also wrote this page: ${describeMachine(machine)}. ` +
      'These are the figures of **one machine**, on which server and clients shared the cores. ' +
      'Other machines have other figures; ratios carry over better than microseconds. To measure yours, run `npm ci && npm run bench` in a clone, or ' +
      '`npm run bench -- heartbeat --sizes 1000 --rounds 3` for a part.'),
    'Their causes are explained in [performance](performance.md); [size a server](../guides/sizing.md) shows how to use them.',
    '',
    ...summary(scenarios),
    '## How it is measured',
    '',
    ...wrap('Server and clients run in separate processes and communicate over loopback. The clients are raw sockets with a minimal frame parser. ' +
      'Candidates run in turn within a round, each in a fresh process, in an order that rotates from round to round. A figure is the median of ' +
      'the rounds, with the minimum and the maximum in brackets. A ratio is the median of the ratios within each round, at the greatest size that ' +
      'the row has. *Growth* is the cost at the greatest size divided by the cost at the smallest. CPU is user and system time of the server\'s process. ' +
      'Over loopback its `write` also does much of the receiver\'s work in the kernel, which it does not do over a network.'),
    '',
    '| | |',
    '|---|---|',
    ...known.map((name) => `| ${name} | ${CANDIDATES[name]!} |`),
    '',
    ...charts.has('scaling') ? ['## Scaling', '', picture('scaling', SCALING), ''] : [],
    ...Object.entries(scenarios).flatMap(([name, scenario]) => section(name, scenario, charts))
  ]
  return lines.join('\n').trimEnd() + '\n'
}

/** The summary, of the scenarios that were measured. */
function summary (scenarios: Results['scenarios']): string[] {
  const rows = HEADLINES.flatMap(({ scenario, metric, text, peer, elsewhere }) => {
    const result = scenarios[scenario]
    const size = result === undefined ? undefined : largest(result, metric, peer === undefined ? ['ours'] : ['ours', peer]) ?? largest(result, metric, ['ours'])
    const ours = size === undefined ? undefined : find(result!, 'ours', metric, size)
    if (ours === undefined) return []
    const other = peer === undefined ? undefined : elsewhere === undefined ? find(result!, peer, metric, size!) : findLargest(scenarios[elsewhere.scenario], peer, elsewhere.metric)
    const ratio = (to: string | undefined) => factor(elsewhere !== undefined && to === peer
      ? other && ours.median / other.median
      : ours.ratios?.find((found) => found.to === to)?.median)
    const connections = size === 0 ? '–' : figure(size!)
    const own = find(result!, 'ours', `${metric}, ${PARTS.own}`, size!)
    const mark = elsewhere !== undefined && other !== undefined ? ' ¹' : ''
    return [`| ${text}${mark} | ${connections} | ${figure(ours.median)} ${ours.unit}${own === undefined ? '' : `, ${figure(own.median)} at work ²`} | ${other === undefined ? '–' : `${figure(other.median)} (${peer!})`} | ${ratio(peer)} | ${ratio('floor')} |`]
  })
  if (rows.length === 0) return []
  const notes = NOTES.filter((note) => rows.some((row) => row.includes(note[0]!))).flatMap((note) => [...wrap(note), ''])
  return ['| | connections | ours | peer | ours ÷ peer | ours ÷ floor |', '|---|---|---|---|---|---|', ...rows, '', ...notes]
}

function section (name: string, scenario: ScenarioResult, charts: Map<string, string>): string[] {
  const metrics = unique(scenario.sizes.flatMap(({ rows }) => rows.map(({ metric }) => metric)))
  const meanings = unique(metrics.flatMap((metric) => {
    const text = meaning(name, metric)
    return text === undefined ? [] : [`- **${shortName(name, metric, metrics)}**: ${text}.`]
  }))
  const skipped = scenario.sizes.flatMap(({ connections, skipped = {} }) => Object.entries(skipped)
    .map(([candidate, why]) => `- Not measured${connections === 0 ? '' : ` at ${figure(connections)}`}: ${candidate} (${why.split('\n')[0]!.slice(0, 150)})`))
  return [
    `## ${scenario.title}`,
    '',
    ...SCENARIOS[name] === undefined ? [] : [...wrap(SCENARIOS[name].text), ''],
    ...scenario.machine === undefined ? [] : [...wrap(`Measured on ${scenario.machine.date.slice(0, 10)} with \`npm run bench -- ${name}\`: ${describeMachine(scenario.machine)}.`), ''],
    ...charts.has(name) ? [picture(name, BARS.find((chart) => chart.scenario === name)!.title), ''] : [],
    ...metrics.length === 0 ? ['Nothing was measured.'] : name === 'profile' ? profileTable(scenario) : table(scenario),
    '',
    ...meanings.length === 0 ? [] : [...meanings, ''],
    ...skipped.length === 0 ? [] : [...skipped, '']
  ]
}

function describeMachine ({ node, kernel, cpu, cores, memory, load }: Machine): string {
  return `Node ${node.slice(1)}, ${kernel}, ${cpu}, ${cores} cores, ${Math.round(memory / 2 ** 30)} GiB${load === undefined ? '' : `, load ${load} before the run`}`
}

/** The common part of the names of metrics with the same meaning. */
function shortName (scenario: string, metric: string, metrics: string[]): string {
  const text = meaning(scenario, metric)
  const same = metrics.filter((other) => meaning(scenario, other) === text)
  if (same.length === 1) return metric
  const head = metric.split(',')[0]!
  const tail = metric.split(', ').at(-1)!
  return same.every((other) => other.endsWith(`, ${tail}`)) ? `${head}, …, ${tail}` : head
}

/** Lines of at most 120 characters. */
function wrap (text: string): string[] {
  return text.split(' ').reduce<string[]>((lines, word) => {
    const last = lines.at(-1)
    return last === undefined || last.length + word.length >= 120 ? [...lines, word] : [...lines.slice(0, -1), `${last} ${word}`]
  }, [])
}

function picture (name: string, text: string): string {
  return `![${text}](benchmarks/${name}.svg)`
}

if (process.argv[1] === import.meta.filename) {
  const [file = join(import.meta.dirname, 'results/latest.json'), folder] = process.argv.slice(2)
  for (const path of await writeReport(JSON.parse(readFileSync(file, 'utf8')) as Results, folder)) console.log(path)
}
