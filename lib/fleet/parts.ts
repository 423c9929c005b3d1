/**
 * The parts of a fleet, in the order in which they are called. A part takes one line here, and knows no other.
 */
import type { FleetCore } from './core.ts'
import { FleetBroadcast } from './fleet-broadcast.ts'
import type { FleetHost } from './host.ts'
import { FleetLabels } from './labels.ts'
import { Leaving } from './leaving.ts'
import { FleetOrders } from './orders.ts'
import { FleetPlaces } from './places.ts'
import { Presences } from './presence.ts'
import { Questions } from './questions.ts'

/** Makes the parts. */
export function makeParts (core: FleetCore, host: FleetHost) {
  const presence = new Presences(core)
  return {
    labels: new FleetLabels(core, (change) => { presence.changed(change) }),
    presence,
    orders: new FleetOrders(core, host),
    leaving: new Leaving(core, host),
    questions: new Questions(core, host),
    broadcast: new FleetBroadcast(core, host),
    ...(host.places === null ? {} : { places: new FleetPlaces(core, host.places) })
  }
}
