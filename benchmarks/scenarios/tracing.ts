/**
 * The cost that tracing adds to a message, a handshake and a connection, of which the handshake is sampled or not, and what the same
 * program measures without tracing: see tracing/main.ts.
 */
import { join } from 'node:path'
import { OURS } from '../candidates.ts'
import type { Candidate } from '../candidates.ts'
import { libraryFolder } from '../library.ts'
import { Child } from '../rpc.ts'
import type { Scenario } from '../scenario.ts'
import type { TracingControl } from '../tracing/main.ts'

const CANDIDATES: Candidate[] = ['not sampled', 'sampled', 'control'].map((name) => ({ ...OURS, name }))

export const tracing: Scenario = {
  title: 'Tracing',
  sizes: [0],
  rounds: 3,
  candidates: () => CANDIDATES,
  peers: [],

  async measure ({ name, revision }) {
    const child = new Child<TracingControl>(join(import.meta.dirname, '../tracing/main.ts'), [libraryFolder(revision), name])
    try {
      const [message, handshake] = [await child.remote.messages(), await child.remote.handshakes()]
      return [
        { metric: 'added to message, sync listener', unit: 'ns', value: message.added },
        { metric: 'added to handshake', unit: 'µs', value: handshake.added },
        { metric: 'added to heap', unit: 'B per connection', value: await child.remote.heap() }
      ]
    } finally {
      await child.stop()
    }
  }
}
