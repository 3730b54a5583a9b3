/**
 * The sellers of a round, in the order in which they are asked, and the first of them that can do something for a need: a
 * tournament tree over that order, as in first-fit bin packing (Johnson 1974). A branch knows the best of what is below it (the
 * lowest price, the most memory, ...), so whole branches without a host that would do are passed over.
 *
 * What this does not do: a book that is made for it (each branch has one host with the level and another with the time)
 * hides from the branches that nobody below them will do. Then every host is looked at for every need, and a round takes time
 * by the square of its offers: half a second of a processor for 8,000, more than a minute for 100,000. Whoever puts rounds into
 * blocks must bound them by that.
 */
import type { PublicKey } from '../ledger/keys.ts'
import type { Level } from '../offers/offer.ts'
import type { SellEntry } from './entries.ts'
import { floorDiv, lanesOf, type Need, type Piece, rectangleIn, type Taken, without } from './fit.ts'

export interface Seller {
  readonly entry: SellEntry
  readonly price: number
}

export interface Wanted extends Need {
  readonly level: Level
  /** The highest price of a seller. */
  readonly limit: number
  /** Only pieces that have the memory of a task for each of their cores. */
  readonly forEveryCore: boolean
}

// What a branch knows of all pieces below it. Of what is sold out, such that nobody asks it.
const PRICE = 0
const FROM = 1
const UNTIL = 2
const LONGEST = 3
/** Of a lane: MIPS times thousandths of a core. */
const SPEED = 4
const MEMORY = 5
const MEMORY_OF_CORE = 6
const LEVEL = 7
const FIELDS = 8

const rankOf = (level: Level) => (level === 'os' ? 1 : 0)

export class Supply {
  readonly #sellers: readonly Seller[]
  readonly #pieces: (readonly Piece[])[]
  readonly #base: number
  readonly #best: Float64Array

  constructor(sellers: readonly Seller[]) {
    this.#sellers = sellers
    this.#pieces = sellers.map(({ entry }) => entry.pieces)
    let base = 1
    while (base < sellers.length) base *= 2
    this.#base = base
    this.#best = new Float64Array(2 * base * FIELDS)
    for (let node = 2 * base - 1; node > 0; node--) this.#write(node)
  }

  /** What is left of the one with this number. */
  pieces(number: number): readonly Piece[] {
    return this.#pieces[number]!
  }

  /** The first from this number on that may do, or -1. Whether it does is seen when it is taken from. */
  next(wanted: Wanted, from: number): number {
    const base = this.#base
    if (from >= this.#sellers.length) return -1
    let node = from + base
    for (;;) {
      if (this.#mayDo(node, wanted)) {
        if (node >= base) return node - base
        node *= 2 // down, to the left
      } else {
        while (node & 1) node >>= 1 // up, as long as it is a right one
        if (node === 0) return -1
        node += 1
      }
    }
  }

  /** The price of the first that can do something for it now. A buyer's own account is left out. */
  firstPrice(wanted: Wanted, account: PublicKey): number | undefined {
    for (let at = this.next(wanted, 0); at >= 0; at = this.next(wanted, at + 1)) {
      const { entry, price } = this.#sellers[at]!
      if (entry.account !== account && this.#first(at, wanted, 1)) return price
    }
    return undefined
  }

  /** As many tasks as its first fitting piece can do, at most `tasks`; that is gone then. Undefined: it can do none. */
  take(number: number, wanted: Wanted, tasks: number): Taken | undefined {
    const found = this.#first(number, wanted, tasks)
    if (!found) return undefined
    const { i, taken } = found
    const pieces = this.#pieces[number]!
    this.#pieces[number] = pieces.toSpliced(i, 1, ...without(pieces[i]!, taken))
    for (let node = number + this.#base; node > 0; node >>= 1) this.#write(node)
    return taken
  }

  #first(number: number, wanted: Wanted, tasks: number): { readonly i: number; readonly taken: Taken } | undefined {
    const { speedMips } = this.#sellers[number]!.entry.terms
    for (const [i, piece] of this.#pieces[number]!.entries()) {
      if (wanted.forEveryCore && memoryOfCore(piece) < wanted.memoryBytes) continue
      const taken = rectangleIn(piece, speedMips, wanted, tasks)
      if (taken) return { i, taken }
    }
    return undefined
  }

  #mayDo(node: number, wanted: Wanted): boolean {
    const best = this.#best
    const at = node * FIELDS
    if (best[at + PRICE]! > wanted.limit || best[at + LEVEL]! < rankOf(wanted.level)) return false
    if (best[at + (wanted.forEveryCore ? MEMORY_OF_CORE : MEMORY)]! < wanted.memoryBytes) return false
    const fromMs = Math.max(best[at + FROM]!, wanted.fromMs)
    const spanMs = Math.min(best[at + LONGEST]!, Math.min(best[at + UNTIL]!, wanted.untilMs) - fromMs)
    // The second product is exact, and the first one is too where it is not above the second.
    return spanMs >= wanted.minServiceMs && best[at + SPEED]! * spanMs >= wanted.taskWorkMi * 1_000_000
  }

  #write(node: number): void {
    if (node >= this.#base) this.#writeLeaf(node)
    else this.#writeBranch(node)
  }

  #writeLeaf(node: number): void {
    const best = this.#best
    const at = node * FIELDS
    const seller = this.#sellers[node - this.#base]
    const pieces = this.#pieces[node - this.#base] ?? []
    best.fill(0, at, at + FIELDS)
    best[at + PRICE] = best[at + FROM] = Number.POSITIVE_INFINITY
    if (!seller || pieces.length === 0) return
    const { level, speedMips } = seller.entry.terms
    best[at + PRICE] = seller.price
    best[at + LEVEL] = rankOf(level)
    for (const piece of pieces) {
      const { fromMs, untilMs, coresMilli, memoryBytes } = piece
      best[at + FROM] = Math.min(best[at + FROM]!, fromMs)
      best[at + UNTIL] = Math.max(best[at + UNTIL]!, untilMs)
      best[at + LONGEST] = Math.max(best[at + LONGEST]!, untilMs - fromMs)
      best[at + SPEED] = Math.max(best[at + SPEED]!, speedMips * Math.min(1000, coresMilli))
      best[at + MEMORY] = Math.max(best[at + MEMORY]!, memoryBytes)
      best[at + MEMORY_OF_CORE] = Math.max(best[at + MEMORY_OF_CORE]!, memoryOfCore(piece))
    }
  }

  #writeBranch(node: number): void {
    const best = this.#best
    const at = node * FIELDS
    const left = 2 * at
    const right = left + FIELDS
    for (let field = 0; field < FIELDS; field++) {
      const a = best[left + field]!
      const b = best[right + field]!
      best[at + field] = field <= FROM === a < b ? a : b
    }
  }
}

function memoryOfCore(piece: Piece): number {
  return floorDiv(piece.memoryBytes, lanesOf(piece))
}
