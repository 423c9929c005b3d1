/**
 * How parts of the plugin hear of connections.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Hooks } from '../../lib/connection/hooks.ts'

/** Two parts that are added in turn, and what they hear. */
function setup () {
  const hooks = new Hooks<string>()
  const heard: string[] = []
  const part = (name: string) => ({ closing: (connection: string) => { heard.push(`${name}: ${connection} closing`) }, gone: (connection: string) => { heard.push(`${name}: ${connection} gone`) } })
  const [first, second] = [part('first'), part('second')]
  const close = (connection: string) => { for (const each of hooks.closing) each.closing(connection) }
  return { hooks, heard, first, second, close }
}

test('parts hear the events that they were added for, in the order in which they were added', () => {
  const { hooks, heard, first, second, close } = setup()
  hooks.add(first, 'closing', 'gone')
  hooks.add(second, 'closing')
  close('a')
  for (const part of hooks.gone) part.gone('a')
  assert.deepEqual(heard, ['first: a closing', 'second: a closing', 'first: a gone'])
})

test('a part that was removed hears nothing more, and the others do', () => {
  const { hooks, heard, first, second, close } = setup()
  const remove = hooks.add(first, 'closing', 'gone')
  hooks.add(second, 'closing')
  remove()
  close('a')
  assert.deepEqual([heard, hooks.gone.length], [['second: a closing'], 0])
})

test('an event under way goes on with the parts that it began with', () => {
  const { hooks, heard, first, second, close } = setup()
  let remove = (): void => {}
  hooks.add({ closing: () => { remove(); hooks.add(second, 'closing') } }, 'closing')
  remove = hooks.add(first, 'closing')
  close('a')
  close('b')
  assert.deepEqual(heard, ['first: a closing', 'second: b closing'])
})
