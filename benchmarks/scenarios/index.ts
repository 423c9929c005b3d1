/**
 * All scenarios by name, in the order in which they run.
 */
import type { Scenario } from '../scenario.ts'
import { broadcast } from './broadcast.ts'
import { close } from './close.ts'
import { deploy } from './deploy.ts'
import { echo } from './echo.ts'
import { fleet } from './fleet.ts'
import { fleetLeave } from './fleet-leave.ts'
import { handshakes } from './handshakes.ts'
import { heartbeat } from './heartbeat.ts'
import { inProcess } from './in-process.ts'
import { memory } from './memory.ts'
import { openClose } from './open-close.ts'
import { profile } from './profile.ts'
import { scrape } from './scrape.ts'
import { tracing } from './tracing.ts'

export const scenarios: Record<string, Scenario> = {
  memory,
  echo,
  heartbeat,
  broadcast,
  close,
  deploy,
  fleet,
  'fleet-leave': fleetLeave,
  handshakes,
  'in-process': inProcess,
  'open-close': openClose,
  profile,
  scrape,
  tracing
}
