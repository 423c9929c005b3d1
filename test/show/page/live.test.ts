/**
 * The streams of numbers on a fake clock: what is sent when, and that none outlives its time.
 */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import test from 'node:test'
import { LiveStreams } from '../../../lib/show/page/live.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'

/** A response that keeps what it is told to write. */
class FakeResponse extends EventEmitter {
  writableLength = 0
  writableFinished = false
  destroyed = false
  readonly written: string[] = []

  write (text: string): boolean { return this.written.push(text) > 0 }

  end (text?: string): void {
    if (text !== undefined) this.write(text)
    this.writableFinished = this.writableLength === 0
    if (this.writableFinished) this.emit('close')
  }

  destroy (): void {
    this.destroyed = true
    this.emit('close')
  }
}

function createStreams () {
  const clock = new FakeClock()
  let value = 0
  const streams = new LiveStreams(clock, () => ({ value }))
  const open = () => {
    const response = new FakeResponse()
    streams.add(response as unknown as ServerResponse)
    return response
  }
  return { clock, streams, open, set: (next: number) => { value = next } }
}

test('a stream gets the numbers at once, then when they have changed, once a second', () => {
  const { clock, open, set } = createStreams()
  const { written } = open()
  assert.deepEqual(written.splice(0), ['data: {"value":0}\n\n'])
  set(1)
  clock.tick(999)
  assert.deepEqual(written, [])
  clock.tick(1)
  assert.deepEqual(written.splice(0), ['data: {"value":1}\n\n'])
  clock.tick(14_000)
  assert.deepEqual(written, [])
})

test('after 15 seconds without a change a comment keeps the stream alive', () => {
  const { clock, open } = createStreams()
  const { written } = open()
  clock.tick(1_000)
  written.length = 0
  clock.tick(15_000)
  assert.deepEqual(written, [':\n\n'])
})

test('there is a timer only while there is a stream, and it lets the process exit', () => {
  const { clock, streams, open } = createStreams()
  streams.update()
  assert.equal(clock.timersMade, 0)
  const [first, second] = [open(), open()]
  assert.equal(clock.pendingTimers, 1)
  assert.equal(clock.refedTimers, 0)
  first.emit('close')
  second.emit('error', new Error('reset'))
  clock.tick(1_000)
  assert.equal(clock.idle, true)
})

test('a client that does not read gets nothing more until it does', () => {
  const { clock, open, set } = createStreams()
  const response = open()
  response.writableLength = 1
  for (const value of [1, 2, 3]) {
    set(value)
    clock.tick(1_000)
  }
  assert.equal(response.written.length, 1)
  response.writableLength = 0
  set(4)
  clock.tick(1_000)
  assert.equal(response.written.at(-1), 'data: {"value":4}\n\n')
})

test('the end sends the last numbers, and destroys the stream of a client that does not read', () => {
  const { clock, streams, open, set } = createStreams()
  const [reads, silent] = [open(), open()]
  silent.writableLength = 1
  set(9)
  streams.end()
  clock.tick()
  assert.equal(reads.written.at(-1), 'data: {"value":9}\n\n')
  assert.deepEqual([reads.destroyed, silent.destroyed], [false, true])
  assert.equal(clock.idle, true)
})

test('a stream ends after 5 minutes, so that its page is authenticated again', () => {
  const { clock, open } = createStreams()
  const response = open()
  clock.tick(299_000)
  assert.equal(response.writableFinished, false)
  clock.tick(1_000)
  assert.equal(response.writableFinished, true)
})

test('at most 64 streams are open', () => {
  const { streams, open } = createStreams()
  for (let i = 0; i < 63; i++) open()
  assert.equal(streams.full, false)
  const last = open()
  assert.equal(streams.full, true)
  last.emit('close')
  assert.equal(streams.full, false)
})
