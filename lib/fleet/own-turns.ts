/**
 * The turns that this node has booked for its clients, as the other nodes see them.
 */
import type { Booked } from '../drain/booked-turns.ts'
import type { FleetTurns } from '../track/fleet.ts'

const SECOND = 1_000

/** Turns that are spread evenly between two moments, monotonic milliseconds. */
interface Piece {
  readonly from: number
  readonly to: number
  readonly turns: number
}

export class OwnTurns {
  #pieces: readonly Piece[] = []

  /** Replaces the turns from `begins` on; those before it stay. `booked`: null for none. */
  replace (begins: number, booked: Booked | null): void {
    const pieces = this.#pieces.filter(({ from }) => from < begins).map((piece) => cut(piece, piece.from, begins))
    if (booked !== null) {
      let from = booked.begins
      for (const [index, turns] of booked.turns.entries()) {
        const to = from + (index === 0 ? booked.first : booked.length)
        if (turns > 0) pieces.push({ from, to, turns })
        from = to
      }
    }
    this.#pieces = pieces
  }

  /** Returns what is to come at `now`; null: nothing. */
  at (now: number): FleetTurns | null {
    const pieces = this.#pieces.filter(({ to }) => to > now).map((piece) => cut(piece, now, piece.to))
    this.#pieces = pieces
    if (pieces.length === 0) return null
    return {
      clients: Math.ceil(pieces.reduce((sum, { turns }) => sum + turns, 0)),
      rate: pieces.reduce((sum, { from, to, turns }) => from > now ? sum : sum + turns * SECOND / (to - from), 0),
      within: pieces.at(-1)!.to - now
    }
  }
}

/** Returns the part of a piece between two moments. */
function cut (piece: Piece, least: number, most: number): Piece {
  const from = Math.max(piece.from, least)
  const to = Math.min(piece.to, most)
  return { from, to, turns: piece.turns * (to - from) / (piece.to - piece.from) }
}
