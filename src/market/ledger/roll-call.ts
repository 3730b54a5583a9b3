/**
 * Asking the bankers where they are: whether enough of them answer to decide anything, how far this host is behind, and what
 * is final now.
 *
 * A read as of now. What was final when the read began had the votes of a quorum to finalize it, or a block above it. So in
 * any quorum that is asked there is somebody honest who has voted so. If it knows all that it has said (`Asked.atWork`), it
 * names a notarized block at that place or a later one, by its certificate, or has it on its chain. When the chain here has
 * passed what each of a quorum has named, the read shows all that was final. If the epoch ends meanwhile, the next committee
 * is asked, for only it knows what it has decided. Who is an epoch behind this host has forgotten what it said in this one,
 * if it has said anything, until it is here again.
 */
import type { Env } from '../../core/env.ts'
import { ChoraleError } from '../../core/errors.ts'
import { isCertified } from './certified.ts'
import type { Chain } from './chain.ts'
import { quorumOf } from './committee.ts'
import type { Certificate } from './consensus/messages.ts'
import type { Courier } from './courier.ts'
import type { PublicKey, Verify } from './keys.ts'
import { Ask, type Asked, decodeCertificate } from './messages.ts'

const ANSWER_MS = 3000
/** Until a read asks a banker again that does not know yet what it has said, or that is not reached. */
const AGAIN_MS = 100
const UNREACHED_MS = 1000
/** How often a read looks whether the chain has come up. */
const LOOK_MS = 25

export interface RollCallPorts {
  readonly env: Env
  readonly chain: Chain
  readonly courier: Courier
  readonly verify: Verify
  readonly host: PublicKey
  /** What this host would answer itself. */
  own(): Asked
  /** Fetches what that host has more of the chain, which it says is so high. */
  fetchFrom(host: PublicKey, height: number): Promise<void>
}

/** Who of the committee answered, this host included if it has a seat there. */
export interface Present {
  readonly answers: ReadonlyMap<PublicKey, Asked>
  /** Of those, bankers that vote. */
  readonly atWork: number
  readonly seats: number
  readonly quorum: number
}

export class RollCall {
  readonly #ports: RollCallPorts

  constructor(ports: RollCallPorts) {
    this.#ports = ports
  }

  /** Never rejects. With `enough`, it ends as soon as a quorum has answered. */
  async call({ enough = false }: { enough?: boolean } = {}): Promise<Present> {
    const { chain, courier, host, own } = this.#ports
    const { committee, network } = chain
    const answers = new Map<PublicKey, Asked>()
    const quorum = quorumOf(committee.length)
    await new Promise<void>((resolve) => {
      let open = committee.length
      const done = () => {
        open--
        if (open === 0 || (enough && answers.size >= quorum)) resolve()
      }
      for (const banker of committee) {
        if (banker === host) {
          answers.set(host, own())
          done()
          continue
        }
        courier.ask(banker, Ask, { network }, { timeoutMs: ANSWER_MS }).then((answer) => {
          answers.set(banker, answer)
          done()
        }, done)
      }
    })
    const atWork = [...answers.values()].filter(({ epoch, atWork }) => epoch > chain.epoch || atWork).length
    return { answers, atWork, seats: committee.length, quorum }
  }

  /**
   * The highest view in which this host may have been in this epoch, if it has forgotten that: two after the last one of which
   * anybody proves that it may be left (`consensus/log.ts`). Undefined: fewer than a quorum of others are at work.
   */
  async highestView(): Promise<number | undefined> {
    const { chain, host } = this.#ports
    const { epoch } = chain
    const { answers, quorum } = await this.call()
    let others = 0
    let highest = chain.tip.view
    for (const [banker, answer] of answers) {
      if (banker === host || answer.epoch !== epoch || !answer.atWork) continue
      others++
      highest = Math.max(highest, certifiedIn(this.#ports, answer.left)?.view ?? 0)
    }
    return others >= quorum && chain.epoch === epoch ? highest + 2 : undefined
  }

  /** Resolves when the chain here shows all that was final at the call. Rejects `timeout` at the signal's end. */
  async freshen(signal: AbortSignal): Promise<void> {
    const { chain } = this.#ports
    let poll = new Poll(this.#ports, signal)
    for (; !signal.aborted; await poll.news()) {
      if (poll.epoch !== chain.epoch) poll = new Poll(this.#ports, signal)
      poll.ask()
      if (poll.isMet) return
      poll.fetch()
    }
    const { answered, known, seats, quorum } = poll
    const slow = 'the chain here did not come up to that of the bankers in time'
    const why = haltLine({ answered, atWork: known, seats, quorum }) ?? slow
    throw new ChoraleError('timeout', `no answer as of now: ${why}`)
  }
}

/** What a banker has named. A chain of this epoch that is so far shows all that the banker has helped to make final. */
interface Named {
  readonly height: number
  readonly view: number
  /** It knows what it has said in this epoch. */
  readonly counts: boolean
}

/**
 * A read's questions to the committee of one epoch. Each answer is judged alone, and nothing is waited for but a quorum that
 * the chain has come up to: a liar may name a block that nobody else has, or none, and be slow to hand it out. So the first
 * answer that counts is enough, too: it was given after the read began, and a later one would name more.
 */
class Poll {
  readonly epoch: number
  readonly seats: number
  readonly quorum: number
  readonly #ports: RollCallPorts
  readonly #signal: AbortSignal
  readonly #committee: readonly PublicKey[]
  readonly #named = new Map<PublicKey, Named>()
  /** Not to be asked now: its answer is on the way, or counts, or is not long ago. */
  readonly #asked = new Set<PublicKey>()
  readonly #fetchEveryMs: number
  #fetches = 0
  #rests = false
  #wake = () => {}

  constructor(ports: RollCallPorts, signal: AbortSignal) {
    const { chain, host } = ports
    this.#ports = ports
    this.#signal = signal
    this.epoch = chain.epoch
    this.#committee = chain.committee
    this.seats = chain.committee.length
    this.quorum = quorumOf(this.seats)
    // A banker mostly hears what it lacks by itself; not if it was cut off meanwhile.
    const hasSeat = chain.committee.includes(host)
    this.#fetchEveryMs = hasSeat ? 200 : 50
    if (hasSeat) this.#restFromFetching()
  }

  get answered(): number {
    return this.#named.size
  }

  /** Bankers that know what they have said. */
  get known(): number {
    return [...this.#named.values()].filter(({ counts }) => counts).length
  }

  /** Is the chain here as far as a quorum has named? */
  get isMet(): boolean {
    const met = [...this.#named.values()].filter((named) => named.counts && !this.#isAhead(named))
    return met.length >= this.quorum
  }

  #isAhead({ height, view }: Named): boolean {
    const { tip } = this.#ports.chain
    return height > tip.height || view > tip.view
  }

  /** Asks everybody whose answer does not count yet, at times. */
  ask(): void {
    for (const banker of this.#committee) {
      if (this.#asked.has(banker)) continue
      this.#asked.add(banker)
      void this.#ask(banker)
    }
  }

  #askAgain(banker: PublicKey, ms: number): void {
    this.#ports.env.clock.timer(ms, () => this.#asked.delete(banker))
  }

  async #ask(banker: PublicKey): Promise<void> {
    const { chain, courier, host, own } = this.#ports
    const options = { timeoutMs: ANSWER_MS, signal: this.#signal }
    try {
      const answer = banker === host ? own() : await courier.ask(banker, Ask, { network: chain.network }, options)
      if (this.isMet) return
      const named = this.#judged(answer)
      this.#named.set(banker, named)
      if (!named.counts) this.#askAgain(banker, AGAIN_MS)
      this.#wake()
    } catch {
      this.#askAgain(banker, UNREACHED_MS)
    }
  }

  #judged({ epoch, height, atWork, voted }: Asked): Named {
    const certificate = certifiedIn(this.#ports, voted)
    const isVote = voted === undefined || (certificate !== undefined && certificate.kind !== 'nullify')
    return { height, view: certificate?.view ?? 0, counts: epoch === this.epoch && atWork && isVote }
  }

  /** From one after the other of those who have more, without waiting for any. */
  fetch(): void {
    const { host, fetchFrom } = this.#ports
    if (this.#rests) return
    const ahead = [...this.#named].filter(([banker, named]) => banker !== host && this.#isAhead(named))
    const from = ahead[this.#fetches % ahead.length]
    if (from === undefined) return
    this.#fetches++
    this.#restFromFetching()
    void fetchFrom(from[0], from[1].height)
  }

  #restFromFetching(): void {
    this.#rests = true
    this.#ports.env.clock.timer(this.#fetchEveryMs, () => {
      this.#rests = false
    })
  }

  /** Resolves when there is another answer, or soon. */
  news(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#ports.env.clock.timer(LOOK_MS, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }
}

/** A certificate of the chain's present epoch; undefined when it is none. */
function certifiedIn({ chain, verify }: RollCallPorts, bytes: Uint8Array | undefined): Certificate | undefined {
  const certificate = bytes && decodeCertificate(bytes)
  return certificate && isCertified(chain, certificate, verify) ? certificate : undefined
}

interface Attendance {
  readonly answered: number
  readonly atWork: number
  readonly seats: number
  readonly quorum: number
}

/** The line that users see when a committee cannot decide; undefined when it can. */
export function haltLine({ answered, atWork, seats, quorum }: Attendance): string | undefined {
  if (answered < quorum) return `${answered} of ${seats} bankers answer; ${quorum} are needed`
  return atWork < quorum ? `${atWork} of ${seats} bankers are at work; ${quorum} are needed` : undefined
}
