/**
 * Objects in which an EventEmitter can keep its listeners: as `{ __proto__: null }`, but with fields where that is a hash table.
 */

function makeClass (): new (close?: unknown) => Record<string, unknown> {
  const Listeners = function (this: { close?: unknown }, close?: unknown) { if (close !== undefined) this.close = close }
  Listeners.prototype = Object.create(null) as object
  return Listeners as never
}

/** A class for each kind of emitter: V8 gives all objects of a class as many fields as one of them needs. */
export const LISTENERS = { socket: makeClass(), raw: makeClass(), receiver: makeClass() }
