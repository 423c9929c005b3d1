/**
 * A deploy under client libraries, set up as the guide says: one server drains, another takes over, and the application that uses the
 * library notices nothing. Real time, and no bound on it.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { portOf, reportOf, until } from '../../helpers/server.ts'
import { connectWith } from './guide.ts'
import { LIBRARIES } from './libraries.ts'
import { balance, OWN, serve } from './stage.ts'

/** Milliseconds between two numbers. */
const PERIOD = 5
/** Numbers to be received before the deploy, and again after it. */
const ENOUGH = 20

for (const library of LIBRARIES) {
  test(`${library.name}: in a deploy it sees no close, loses no message, and all its requests are answered`, async (t) => {
    const options = { drain: { terminationGracePeriod: 30_000 } }
    const [leaving, staying] = [await serve(t, library, options), await serve(t, library, options)]
    const balancer = await balance(t)
    balancer.target = portOf(leaving.app)
    const connect = await connectWith(library.name)
    const session = library.use(connect(library.address(balancer.host), OWN))
    await session.works()

    const { received } = session
    let published = 0
    const publisher = setInterval(() => {
      published++
      // As from a broker behind both.
      leaving.publish(published)
      staying.publish(published)
    }, PERIOD)
    t.after(() => { clearInterval(publisher) })
    let requests = 0
    const stop = new AbortController()
    const requesting = (async () => {
      for (; !stop.signal.aborted; requests++) await session.works()
    })()
    await until(() => received.length > ENOUGH && requests > ENOUGH, 'traffic before the deploy')

    balancer.target = portOf(staying.app)
    await leaving.app.close()
    const [last, answered] = [published, requests]
    await until(() => Math.max(...received) > last + ENOUGH && requests > answered + ENOUGH, 'traffic after the deploy')
    stop.abort()
    await requesting

    assert.deepEqual(reportOf(leaving.app).connections.causes, { moved: 1 })
    assert.equal(staying.app.sockets.stats().opened, 1)
    assert.equal(session.losses(), 0)
    const numbers = new Set(received)
    const missed = Array.from({ length: Math.max(...received) - received[0]! }, (_, index) => received[0]! + index).filter((number) => !numbers.has(number))
    assert.deepEqual(missed, [])
    // Or the server that stays would wait for it to move, too.
    await session.stop()
  })
}
