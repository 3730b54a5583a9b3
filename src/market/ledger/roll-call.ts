/**
 * Asking the bankers where they are: whether enough of them answer to decide anything, how far this host is behind, and what
 * is final now.
 *
 * A read as of now. What was final when the read began had the votes of a quorum to finalize it, or a block above it. So in
 * any quorum that is asked there is somebody honest who has voted so. If it knows all that it has said (`Asked.atWork`), it
 * names a notarized block at that place or a later one, by its certificate, or has it on its chain. When the chain here has
 * passed the highest view that was named, the read shows all that was final. If the epoch ends meanwhile, the next committee
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
/** Between two tries of a read whose committee does not answer, or whose chain does not come. */
const AGAIN_MS = 100

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
  readonly seats: number
  readonly quorum: number
}

export class RollCall {
  readonly #ports: RollCallPorts

  constructor(ports: RollCallPorts) {
    this.#ports = ports
  }

  /** Never rejects. With `enough`, it ends as soon as a quorum has answered. */
  async call({ enough = false, signal }: { enough?: boolean; signal?: AbortSignal } = {}): Promise<Present> {
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
        courier.ask(banker, Ask, { network }, { timeoutMs: ANSWER_MS, signal }).then((answer) => {
          answers.set(banker, answer)
          done()
        }, done)
      }
    })
    return { answers, seats: committee.length, quorum }
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
      highest = Math.max(highest, this.#certified(answer.left)?.view ?? 0)
    }
    return others >= quorum && chain.epoch === epoch ? highest + 2 : undefined
  }

  /** Resolves when the chain here shows all that was final at the call. Rejects `timeout` at the signal's end. */
  async freshen(signal: AbortSignal): Promise<void> {
    const { env, chain, fetchFrom } = this.#ports
    for (let tries = 0; ; tries++) {
      const { epoch } = chain
      // Once somebody who was quick has told what was not so, all are heard.
      const { answers, seats, quorum } = await this.call({ enough: tries === 0, signal })
      if (signal.aborted) throw late(answers.size, seats, quorum)
      let view = 0
      let counted = 0
      for (const [banker, answer] of answers) {
        if (answer.height > chain.tip.height) await fetchFrom(banker, answer.height)
        // What it has and we could not get may be what the read must show; what it has forgotten, too.
        if (answer.atWork && answer.epoch === epoch && answer.height <= chain.tip.height) counted++
        if (answer.epoch === epoch) view = Math.max(view, this.#certified(answer.voted)?.view ?? 0)
      }
      const fresh = () => chain.epoch !== epoch || chain.tip.view >= view
      const others = [...answers.keys()].filter((one) => one !== this.#ports.host)
      // A banker mostly hears it by itself; not if it was cut off meanwhile.
      const every = this.#hasSeat() ? 8 : 1
      for (let looks = 1; !fresh() && !signal.aborted; looks++) {
        await env.clock.sleep(AGAIN_MS / 4, { signal }).catch(() => {})
        const banker = looks % every === 0 ? others[(looks / every) % others.length] : undefined
        if (!fresh() && banker) await fetchFrom(banker, answers.get(banker)!.height)
      }
      if (signal.aborted) throw late(answers.size, seats, quorum)
      if (chain.epoch === epoch && counted >= quorum) return
      await env.clock.sleep(AGAIN_MS, { signal }).catch(() => {})
      if (signal.aborted) throw late(answers.size, seats, quorum)
    }
  }

  #hasSeat(): boolean {
    const { chain, host } = this.#ports
    return chain.committee.includes(host)
  }

  /** A certificate of this epoch; undefined when it is none. */
  #certified(bytes: Uint8Array | undefined): Certificate | undefined {
    const { chain, verify } = this.#ports
    const certificate = bytes && decodeCertificate(bytes)
    return certificate && isCertified(chain, certificate, verify) ? certificate : undefined
  }
}

/** The line that users see when a committee cannot decide; undefined when it can. */
export function haltLine(answered: number, seats: number, quorum: number): string | undefined {
  return answered >= quorum ? undefined : `${answered} of ${seats} bankers answer; ${quorum} are needed`
}

function late(answered: number, seats: number, quorum: number): ChoraleError {
  const why = haltLine(answered, seats, quorum) ?? 'the chain here did not come up to that of the bankers in time'
  return new ChoraleError('timeout', `no answer as of now: ${why}`)
}
