// Progress of the demo: one moving line on a TTY, else one plain line per second.

import type { Deploy } from './deploy/deploy.ts'
import type { Side } from './side.ts'
import { codesOf, formatCounts } from './counts.ts'
import { seconds } from './explain.ts'

const onTerminal = { every: 100, width: 100 }
const plain = { every: 1_000 }
const spinner = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'

export class Progress {
  #sides: Side[]
  #deploys: Deploy[] = []
  #phase = ''
  #start = performance.now()
  #signalAt: number | undefined
  #timer: NodeJS.Timeout
  #frame = 0
  #last = ''
  #repeats = 0
  #moving = process.stdout.isTTY === true

  constructor (sides: Side[]) {
    this.#sides = sides
    this.#timer = setInterval(() => this.#show(), this.#moving ? onTerminal.every : plain.every)
  }

  phase (name: string): void {
    this.#phase = name
    this.#show()
  }

  /** Shows these deploys instead of the sides. */
  follow (deploys: Deploy[]): void {
    this.#deploys = deploys
  }

  /** Counts seconds from the signal from here on. */
  signalled (): void {
    this.#signalAt = performance.now()
  }

  stop (): void {
    clearInterval(this.#timer)
    if (this.#moving) process.stdout.write('\r\x1b[2K')
  }

  #show (): void {
    const parts = this.#deploys.length > 0 ? this.#deploys.map(describeDeploy) : this.#sides.map(describe)
    const text = `${this.#phase.padEnd(10)} ${parts.join(' │ ')}`
    if (this.#moving) {
      const frame = spinner[this.#frame++ % spinner.length]
      const line = `${frame} ${this.#seconds()}  ${text}`
      const width = Math.min(onTerminal.width, process.stdout.columns || onTerminal.width)
      process.stdout.write(`\r\x1b[2K${line.slice(0, width - 1)}`)
    } else if (text !== this.#last || ++this.#repeats % 5 === 0) {
      // An unchanged line is repeated every five seconds only.
      if (text !== this.#last) this.#repeats = 0
      this.#last = text
      process.stdout.write(`${this.#seconds()}  ${text}\n`)
    }
  }

  #seconds (): string {
    const since = this.#signalAt ?? this.#start
    return `${this.#signalAt === undefined ? '' : '+'}${seconds(performance.now() - since)}`.padStart(7)
  }
}

function describe (side: Side): string {
  const state = side.exit ? `exited after ${seconds(side.exit.after)}` : `${side.open} open`
  const codes = formatCounts(codesOf(side.counts)).replaceAll('  ', ' ').replaceAll(' ×', '×')
  return `${side.short} ${state}${codes && ` ${codes}`}`
}

function describeDeploy ({ contender: { short }, seen: { open, closes } }: Deploy): string {
  return `${short} ${open} open${closes > 0 ? `, ${closes} closed` : ''}`
}
