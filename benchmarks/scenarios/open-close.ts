/**
 * The time that the plugin adds to opening and closing a server: see open-close/main.ts.
 */
import { join } from 'node:path'
import { BARE, OURS } from '../candidates.ts'
import { libraryFolder } from '../library.ts'
import type { OpenCloseControl } from '../open-close/main.ts'
import { Child } from '../rpc.ts'
import type { Scenario } from '../scenario.ts'

const WARM_UP = 100
const APPS = 200

export const openClose: Scenario = {
  title: 'Open and close',
  sizes: [0],
  rounds: 2,
  candidates: () => [OURS, BARE],
  peers: [BARE],

  async measure ({ server, revision }) {
    const child = new Child<OpenCloseControl>(join(import.meta.dirname, '../open-close/main.ts'), server === 'ours' ? [libraryFolder(revision)] : [])
    try {
      await child.remote.measure(WARM_UP, true)
      return [
        { metric: 'open, close', unit: 'ms per app', value: await child.remote.measure(APPS, false) },
        { metric: 'open, one client, close', unit: 'ms per app', value: await child.remote.measure(APPS, true) }
      ]
    } finally {
      await child.stop()
    }
  }
}
