/**
 * Fills templates with the figures of the results. The text between {{ and }} is an expression over the names and functions
 * below. Pure.
 */
import { factor, find, findLargest } from './report-rows.ts'
import type { Results, Row } from './results.ts'

/** Pages below docs/ made of templates in this folder. */
export const PAGES: Record<string, string> = {
  'explanation/performance.md': 'performance.template.md',
  'guides/sizing.md': 'sizing.template.md'
}

/** Scenario, candidate and metric of each named figure, which has its value at the greatest size that was measured. */
const FIGURES: Record<string, [scenario: string, candidate: string, metric: string]> = {
  heap: ['memory', 'ours', 'heap'],
  resident: ['memory', 'ours', 'resident'],
  bareHeap: ['memory', 'bare', 'heap'],
  handshake: ['handshakes', 'ours', 'CPU'],
  bareHandshake: ['handshakes', 'bare', 'CPU'],
  addedHandshake: ['in-process', 'ours', 'added to handshake'],
  addedFullHandshake: ['in-process', 'ours', 'added to handshake, everything on'],
  addedSync: ['in-process', 'ours', 'added to message, sync listener'],
  addedEchoed: ['in-process', 'ours', 'added to message, echoed'],
  addedAsync: ['in-process', 'ours', 'added to message, async listener'],
  addedFull: ['in-process', 'ours', 'added to message, everything on'],
  echo: ['echo', 'ours', 'CPU'],
  idleBeat: ['heartbeat', 'ours', 'CPU, all idle'],
  floorBeat: ['heartbeat', 'floor', 'CPU, all idle'],
  activeBeat: ['in-process', 'ours', 'beat, all active'],
  beatStall: ['heartbeat', 'ours', 'stall, all idle'],
  beatOwn: ['heartbeat', 'ours', 'stall, all idle, while at work itself'],
  activeStall: ['heartbeat', 'ours', 'stall, all active'],
  recipeStall: ['heartbeat', 'ws recipe', 'stall, all idle'],
  recipeActiveStall: ['heartbeat', 'ws recipe', 'stall, all active'],
  broadcast: ['broadcast', 'ours', 'CPU, 64 B'],
  broadcast1k: ['broadcast', 'ours', 'CPU, 1 KiB'],
  floorBroadcast: ['broadcast', 'floor', 'CPU, 64 B'],
  loop: ['broadcast', 'ws', 'CPU, 64 B'],
  rawWrites: ['broadcast', 'raw writes', 'CPU, 64 B'],
  rawSlices: ['broadcast', 'raw writes, in slices', 'CPU, 64 B'],
  broadcastStall: ['broadcast', 'ours', 'stall, 64 B'],
  loopStall: ['broadcast', 'ws', 'stall, 64 B'],
  closeCpu: ['close', 'ours', 'CPU, cooperative'],
  bareClose: ['close', 'bare', 'CPU, cooperative'],
  closeTotal: ['close', 'ours', 'total, cooperative'],
  bareTotal: ['close', 'bare', 'total, cooperative'],
  closeClosed: ['close', 'ours', 'close(), cooperative'],
  bareClosed: ['close', 'bare', 'close(), cooperative'],
  closeStall: ['close', 'ours', 'stall, cooperative'],
  closeOwn: ['close', 'ours', 'stall, cooperative, while at work itself'],
  bareStall: ['close', 'bare', 'stall, cooperative']
}

/** Rounds a computed value: two digits, three from a thousand on. */
function rounded (value: number): string {
  return written(Number(value.toPrecision(Math.abs(value) >= 1000 ? 3 : 2)))
}

/** Rounds a measured value: three digits, whole from a thousand on. */
function exact (value: number): string {
  return written(Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(3)))
}

function written (value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: 6 })
}

/** Returns the text with its figures. Throws if one was not measured. */
export function fillTemplate (template: string, { machine, scenarios }: Results): string {
  const row = (scenario: string, candidate: string, metric: string, size?: number): Row => {
    const result = scenarios[scenario]
    const found = size === undefined || result === undefined ? findLargest(result, candidate, metric) : find(result, candidate, metric, size)
    if (found === undefined) throw new Error(`not measured: ${metric} of ${candidate} in ${scenario}${size === undefined ? '' : ` at ${size}`}`)
    return found
  }
  const ratioOf = (scenario: string, metric: string, peer: string, size?: number, candidate = 'ours') => {
    const ratio = row(scenario, candidate, metric, size).ratios?.find(({ to }) => to === peer)
    if (ratio === undefined) throw new Error(`not compared: ${metric} of ${candidate} with ${peer}`)
    return ratio
  }
  const sizes = scenarios.heartbeat!.sizes.map(({ connections }) => connections)
  const across = (cell: (size: number) => string) => sizes.map(cell).join(' | ')
  const values: Record<string, unknown> = {
    cores: machine.cores,
    cpu: machine.cpu,
    node: machine.node.slice(1),
    connections: sizes.at(-1)!,
    ceil: Math.ceil,
    exact,
    /** A figure without a name: as a number, and as text. */
    value: (...place: Parameters<typeof row>) => row(...place).median,
    at: (...place: Parameters<typeof row>) => exact(row(...place).median),
    /** The ratio to a peer. */
    times: (...place: Parameters<typeof ratioOf>) => factor(ratioOf(...place).median),
    /** Minimum and maximum of the rounds. */
    spread: (...place: Parameters<typeof row>) => { const { min, max } = row(...place); return `${exact(min)} to ${exact(max)}` },
    /** The difference of the medians of two candidates. */
    more: (scenario: string, metric: string, candidate: string, other: string, size?: number) => exact(row(scenario, candidate, metric, size).median - row(scenario, other, metric, size).median),
    /** The value at the greatest size, divided by the value at the smallest. */
    growth: (scenario: string, candidate: string, metric: string) => factor(row(scenario, candidate, metric, sizes.at(-1)).median / row(scenario, candidate, metric, sizes[0]).median),
    /** The same at all sizes, one column per size. */
    sizes: across((size) => written(size)),
    allTimes: (scenario: string, metric: string, peer: string, candidate?: string) => across((size) => factor(ratioOf(scenario, metric, peer, size, candidate).median)),
    all: (scenario: string, candidate: string, metric: string) => across((size) => exact(row(scenario, candidate, metric, size).median)),
    allStalls: (scenario: string, metric: string) => across((size) => `${exact(row(scenario, 'ours', metric, size).median)} (${exact(row(scenario, 'ours', `${metric}, while at work itself`, size).median)})`)
  }
  for (const [name, place] of Object.entries(FIGURES)) Object.defineProperty(values, name, { enumerable: true, get: () => row(...place).median })
  return template.replaceAll(/\{\{(.+?)\}\}/g, (_, expression: string) => {
    const names = Object.keys(values).filter((name) => new RegExp(`\\b${name}\\b`).test(expression))
    // eslint-disable-next-line no-new-func -- templates are part of this repository, like code
    const value: unknown = new Function(...names, `return ${expression}`)(...names.map((name) => values[name]))
    if (typeof value === 'string') return value
    return names.length === 1 && names[0] === expression.trim() ? exact(value as number) : rounded(value as number)
  })
}
