/**
 * How many clients a second this node can take, learned from what handshakes cost it.
 *
 * From one measurement to the next the event loop has worked for a part of the time, and some handshakes came. The slope of the one
 * over the other is what a handshake costs; what is left at no handshakes is the application's other work. Old measurements fade.
 * Before handshakes have come at different rates the cost is that of the rate which was set.
 *
 * Work is CPU time: on a machine that runs too much the event loop is busy for longer than it works. The part of a CPU that it has had
 * while it was busy, in the last 10 seconds, is what there is for all work. If handshakes take twice as long as they did, something
 * else than this process is short, and the capacity is half.
 */

/** Weight of a measurement when the next one is made. */
const FADES = 0.98
/** Shortest time between two measurements, milliseconds. */
const LEAST_TIME = 1_000
/** Most of the event loop that other work is taken to need: a node that serves takes some clients. */
const MOST_OTHER = 0.95
/** Least cost of a handshake, seconds. */
const LEAST_COST = 1e-5
/** Handshakes that take less time than this are never slow, milliseconds. */
const FAST = 20
/** Noise of the part of the event loop that is busy, at least: clocks are coarse. */
const LEAST_NOISE = 0.005
/** From the second part of a CPU on a process lacks none, below the first it lacks the rest: CPU time is less than the time in which the
 *  event loop is busy on an idle machine, too. */
const LACKS = 0.7
const WHOLE = 0.8
/** Weight of the part of a CPU that a measurement has found when the next one is made. */
const SHARE_FADES = 0.8
/** Weight of the last handshakes in their mean time, and how fast the best of it is forgotten. */
const WEIGHT = 0.3
const FORGETS = 1.005

/** What has happened so far. */
export interface LoadCounters {
  /** Monotonic milliseconds, and those in which the event loop was busy. */
  readonly now: number
  readonly busy: number
  /** Milliseconds of CPU time of the process; threads beside the event loop count too. */
  readonly cpu: number
  /** Handshakes, and the milliseconds that they took in all. */
  readonly handshakes: number
  readonly time: number
}

export class Capacity {
  readonly #read: () => LoadCounters
  readonly #usual: number
  #last: LoadCounters
  /** Weighted sums over measurements: their number, handshakes a second (x), the part of work (y), and their products. */
  #n = 0
  #x = 0
  #y = 0
  #xx = 0
  #xy = 0
  #yy = 0
  /** Milliseconds of the last measurements in which the event loop has worked, and in which it was busy. */
  #worked = 0
  #busy = 0
  /** Mean time of the last handshakes, and the best that it was, milliseconds. */
  #mean = 0
  #best = Infinity

  /** `rate`: clients a second before anything was measured. */
  constructor (rate: number, read: () => LoadCounters) {
    this.#usual = 1 / rate
    this.#read = read
    this.#last = read()
  }

  /** Measures, if the last measurement is a second old, and returns clients a second, 1 or more. */
  measure (): number {
    const read = this.#read()
    if (read.now - this.#last.now >= LEAST_TIME) this.#take(read)
    const cost = Math.max(LEAST_COST, this.#cost)
    const part = this.#busy === 0 ? 1 : this.#worked / this.#busy
    const share = part < LACKS ? part : Math.min(1, LACKS + (part - LACKS) * (1 - LACKS) / (WHOLE - LACKS))
    const other = this.#n === 0 ? 0 : Math.min(MOST_OTHER * share, Math.max(0, (this.#y - cost * this.#x) / this.#n))
    const slow = Math.min(1, Math.max(FAST, this.#best) / Math.max(FAST, this.#mean))
    // Handshakes of a process that has little CPU are slow, too: that counts once.
    return Math.max(1, Math.round(Math.min(share - other, (1 - other) * slow) / cost))
  }

  #take (read: LoadCounters): void {
    const time = read.now - this.#last.now
    const count = read.handshakes - this.#last.handshakes
    const x = count / time * 1_000
    const busy = Math.min(time, read.busy - this.#last.busy)
    const worked = Math.min(busy, read.cpu - this.#last.cpu)
    const y = worked / time
    this.#busy = this.#busy * SHARE_FADES + busy
    this.#worked = this.#worked * SHARE_FADES + worked
    this.#n = this.#n * FADES + 1
    this.#x = this.#x * FADES + x
    this.#y = this.#y * FADES + y
    this.#xx = this.#xx * FADES + x * x
    this.#xy = this.#xy * FADES + x * y
    this.#yy = this.#yy * FADES + y * y
    if (count > 0) {
      const mean = (read.time - this.#last.time) / count
      this.#mean = this.#best === Infinity ? mean : this.#mean + (mean - this.#mean) * WEIGHT
      this.#best = Math.min(this.#best * FORGETS, this.#mean)
    }
    this.#last = read
  }

  /**
   * What a handshake costs at most, seconds: the slope and its standard error. Before anything is known both are half of the usual
   * cost; noise never makes it low.
   */
  get #cost (): number {
    if (this.#n === 0) return this.#usual
    // Sums of large numbers are inexact.
    const xx = Math.max(0, this.#xx - this.#x * this.#x / this.#n)
    const xy = this.#xy - this.#x * this.#y / this.#n
    const yy = this.#yy - this.#y * this.#y / this.#n
    const noise = Math.max(LEAST_NOISE ** 2, (yy - (xx > 0 ? xy * xy / xx : 0)) / this.#n)
    const half = this.#usual / 2
    const doubt = noise / half ** 2
    return Math.max(0, (xy + doubt * half) / (xx + doubt)) + Math.sqrt(noise / (xx + doubt))
  }
}
