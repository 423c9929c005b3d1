/**
 * The nodes and clients of `npm run bench -- fleet`, a few of them.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Cluster } from '../../benchmarks/fleet/cluster.ts'
import { libraryFolder } from '../../benchmarks/library.ts'
import { busiestSecond } from '../../benchmarks/scenarios/fleet-leave.ts'
import { missing } from '../helpers/optional.ts'

test('nodes in processes of their own count their clients together, and disconnect those of each other', { skip: missing('redis') }, () =>
  Cluster.run({ file: 'ours', args: [libraryFolder()] }, 3, async (cluster) => {
    await cluster.openTagged(cluster.members[1]!, 'room', 2)
    await cluster.open(12)
    const [asker, ...others] = cluster.members.map(({ process }) => process.remote)
    const owner = cluster.ownersElsewhere(1)[0]!
    assert.deepEqual(cluster.ownersOf(1), ['1-0-0', '1-0-1', '1-1-0', '1-1-1'])
    assert.deepEqual(await Promise.all(others.map(async ({ sample }) => (await sample()).connections)), [6, 4])
    // A node writes its counts in order: the tag is known, too, to which a broadcast goes.
    while ((await asker!.ask('count', owner)).found !== 1);

    const [tagged, load] = cluster.loads.map(({ remote }) => remote)
    await tagged!.expect(2)
    while ((await asker!.ask('page', '')).found !== 14);
    await asker!.broadcast('room', 100)
    await tagged!.reached()

    await load!.expectEnds(1)
    await asker!.disconnect(owner)
    await load!.endsReached()
    assert.equal((await load!.counts()).open, 5)
  }))

test('the busiest second may begin at any moment', () => {
  assert.equal(busiestSecond([]), 0)
  assert.equal(busiestSecond([3e6, 0, 600_000, 1_400_000, 1_599_999, 1_600_000]), 3)
})
