/**
 * How many clients arrive in each tenth of a second, beside what the nodes that stay can take.
 */
const PIECE = 100
const PIECES_A_SECOND = 10

export class Arrivals {
  readonly #counts: number[] = []
  /** The least capacity within each piece so far. */
  readonly #capacity: number[] = []

  arrived (moment: number): void {
    const piece = Math.floor(moment / PIECE)
    while (this.#counts.length <= piece) this.#counts.push(0)
    this.#counts[piece]!++
  }

  /** The nodes that stay can take so many clients a second from now on. */
  capacityIs (capacity: number, moment: number): void {
    const piece = Math.floor(moment / PIECE)
    const last = this.#capacity.at(-1) ?? capacity
    while (this.#capacity.length <= piece) this.#capacity.push(last)
    // A piece counts with the least that it has had.
    this.#capacity[piece] = Math.min(this.#capacity[piece]!, capacity)
    this.#capacity[piece + 1] = capacity
  }

  /** Returns the clients of the busiest second, as a part of those that the nodes can take in that second. */
  get busiest (): number {
    let most = 0
    let clients = 0
    let capacity = 0
    const at = (piece: number) => this.#capacity[Math.min(Math.max(0, piece), this.#capacity.length - 1)]! / PIECES_A_SECOND
    for (let piece = -PIECES_A_SECOND; piece < 0; piece++) capacity += at(piece)
    for (const [piece, count] of this.#counts.entries()) {
      clients += count - (this.#counts[piece - PIECES_A_SECOND] ?? 0)
      capacity += at(piece) - at(piece - PIECES_A_SECOND)
      most = Math.max(most, clients / capacity)
    }
    return most
  }

  /** Clients in each second. */
  get seconds (): number[] {
    const seconds: number[] = []
    for (const [piece, count] of this.#counts.entries()) {
      const second = Math.floor(piece / PIECES_A_SECOND)
      seconds[second] = (seconds[second] ?? 0) + count
    }
    return seconds
  }
}
