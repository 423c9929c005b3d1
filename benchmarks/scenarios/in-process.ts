/**
 * The cost added to a message, a handshake and a beat, measured without a kernel: see in-process/main.ts.
 */
import { join } from 'node:path'
import { BARE, OURS } from '../candidates.ts'
import type { Candidate } from '../candidates.ts'
import type { InProcessControl } from '../in-process/control.ts'
import type { Pair } from '../in-process/pairs.ts'
import { libraryFolder } from '../library.ts'
import type { Measurement } from '../results.ts'
import { Child } from '../rpc.ts'
import type { Remote } from '../rpc.ts'
import type { Scenario } from '../scenario.ts'

export const inProcess: Scenario = {
  title: 'In-process',
  sizes: [0],
  rounds: 5,
  candidates: () => [OURS, BARE],
  peers: [BARE],

  async together (candidates) {
    let found: Record<string, Measurement[]> = {}
    for (const candidate of candidates) {
      // Bare is part of every pair; its figures are those of the first pair.
      if (candidate.server === 'ours') found = { ...await pairOf(candidate), ...found }
    }
    return found
  }
}

/** A candidate and bare. */
async function pairOf ({ name, revision }: Candidate): Promise<Record<string, Measurement[]>> {
  const [bare, ours]: [Measurement[], Measurement[]] = [[], []]
  const add = (metric: string, unit: string, { first, second, added }: Pair) => {
    bare.push({ metric, unit, value: first })
    ours.push({ metric, unit, value: second }, { metric: `added to ${metric}`, unit, value: added })
  }
  await asking(revision, async (remote) => {
    add('message, sync listener', 'ns', await remote.messages('sync'))
    add('message, echoed', 'ns', await remote.messages('echo'))
    add('message, async listener', 'ns', await remote.messages('async'))
    add('handshake', 'µs', await remote.handshakes())
    ours.push({ metric: 'beat, all active', unit: 'µs per connection and beat', value: await remote.activeBeats() })
  })
  // In a separate process, because code compiled for one candidate is slower when it serves two.
  await asking(revision, async (remote) => {
    add('message, everything on', 'ns', await remote.messages('sync'))
    add('handshake, everything on', 'µs', await remote.handshakes())
  }, 'everything')
  return { [name]: ours, [BARE.name]: bare }
}

async function asking (revision: string | undefined, ask: (remote: Remote<InProcessControl>) => Promise<void>, ...args: string[]): Promise<void> {
  const child = new Child<InProcessControl>(join(import.meta.dirname, '../in-process/main.ts'), [libraryFolder(revision), ...args])
  try {
    await ask(child.remote)
  } finally {
    await child.stop()
  }
}
