/**
 * A host's seat in the committee: one member for each epoch that it sits in, with its vote log. When that log is rotten the
 * host does not know what it has said, so it does not vote before it has asked the others how far they are, and then in later
 * views only: until these come it is missed as if it were down.
 */
import type { Env } from '../../core/env.ts'
import { errorMessage } from '../../core/errors.ts'
import type { DiskFs } from '../../dht/store/disk/fs.ts'
import type { Chain } from './chain.ts'
import { quorumOf } from './committee.ts'
import { committeeOf as consensusCommittee } from './consensus/committee.ts'
import type { Evidence, FinalRun } from './consensus/messages.ts'
import type { Courier } from './courier.ts'
import type { KeyPair, Verify } from './keys.ts'
import { Member } from './member.ts'
import type { Mempool } from './mempool.ts'
import { type Asked, encodeCertificate } from './messages.ts'
import { payloadDigest } from './payload.ts'
import { beginVoteLog, type LogOwner, type OpenedLog, openVoteLog, removeOldLogs } from './vote-log.ts'

/** Between two questions how far the others are. */
const ASK_AGAIN_MS = 2000
/** Until a seat that has failed is taken again; twice as long each time, up to the second. */
const FIRST_RETRY_MS = 2000
const MAX_RETRY_MS = 60_000

export interface SeatPorts {
  readonly env: Env
  readonly chain: Chain
  readonly courier: Courier
  readonly verify: Verify
  readonly key: KeyPair
  readonly pool: Mempool
  readonly fs: DiskFs
  readonly dir: string
  readonly viewMs: number
  /** `RollCall.highestView`. */
  highestView(): Promise<number | undefined>
  runsFrom(height: number): readonly FinalRun[]
  finalized(run: FinalRun): void
  evidence(evidence: Evidence): void
  /** Why this host does not vote although it has a seat; undefined: it does. */
  broken(why: string | undefined): void
}

export class Seat {
  readonly #ports: SeatPorts
  /** At work. */
  member: Member | undefined
  /** Counts changes: what began before one ends without effect. */
  #turn = 0
  #retryMs = FIRST_RETRY_MS
  /** The disk has failed: what seems to be in the log may not be on the disk. */
  #isDoubtful = false
  /** One after the other, as they are for one directory. */
  #last: Promise<void> = Promise.resolve()

  constructor(ports: SeatPorts) {
    this.#ports = ports
  }

  /** The seat of the chain's present epoch. */
  take(): void {
    const turn = ++this.#turn
    const left = this.#leave()
    this.#last = this.#last
      .then(() => left)
      .then(() => this.#sit(turn))
      .catch((error) => this.#fail(error))
  }

  leave(): Promise<void> {
    this.#turn++
    const left = this.#leave()
    this.#last = this.#last.then(() => left)
    return this.#last
  }

  /** What others are told of it. */
  shown(): Pick<Asked, 'atWork' | 'voted' | 'left'> {
    const { isWhole: atWork = false, votedToFinalize: voted, highestCertificate: left } = this.member ?? {}
    return { atWork, ...(voted && { voted: encodeCertificate(voted) }), ...(left && { left: encodeCertificate(left) }) }
  }

  async #leave(): Promise<void> {
    const { member } = this
    this.member = undefined
    await member?.stop()
  }

  async #sit(turn: number): Promise<void> {
    const { env, chain, courier, verify, key, pool, fs, dir, viewMs, ...ports } = this.#ports
    if (turn !== this.#turn) return
    const { network, epoch, committee: hosts, base } = chain
    // What earlier logs could tell again is final, and must be on the disk before they go.
    if (epoch > 0 && chain.store.sync()) await removeOldLogs(fs, dir, epoch)
    if (turn !== this.#turn) return
    const owner: LogOwner = { network, epoch, member: key.publicKey }
    const opened = await this.#open(owner)
    if (turn !== this.#turn) {
      await opened.log.close()
      return
    }
    const isMute = opened.records.some((record) => record.type === 'silence' && record.view === Number.MAX_SAFE_INTEGER)
    const self = hosts.indexOf(key.publicKey)
    const committee = consensusCommittee({
      network,
      epoch,
      members: hosts.length,
      self,
      firstLeader: chain.firstLeader,
      base,
      viewMs,
      payloadDigest,
      sign: (statement) => key.sign(statement),
    })
    const others = hosts.filter((host) => host !== key.publicKey)
    const member = new Member({
      env,
      committee,
      hosts,
      verify,
      chain,
      pool,
      opened,
      ...ports,
      send: (to, messages) => courier.say(to === 'all' ? others : [hosts[to]!], epoch, messages),
      failed: (error) => this.#fail(error),
    })
    this.member = member
    if (isMute) void this.#endSilence(owner, turn).catch((error) => this.#fail(error))
    else ports.broken(undefined)
    member.start()
    this.#retryMs = FIRST_RETRY_MS
  }

  /** With a log that can be trusted; else one that begins with a silence. */
  async #open(owner: LogOwner): Promise<OpenedLog> {
    const { env, fs, dir } = this.#ports
    const opened = await openVoteLog(fs, dir, owner)
    if (opened === 'rotten') {
      env.log.error('the log of this banker is damaged: it does not vote before it has caught up', { dir })
      return beginVoteLog(fs, dir, owner, [{ type: 'silence', view: Number.MAX_SAFE_INTEGER }])
    }
    if (!this.#isDoubtful) return opened
    await opened.log.close()
    const written = await beginVoteLog(fs, dir, owner, opened.records)
    this.#isDoubtful = false
    return written
  }

  /** Finds out in which views it may have spoken, and sits down again with a silence that ends after these. */
  async #endSilence(owner: LogOwner, turn: number): Promise<void> {
    const { env, chain, fs, dir, broken, highestView } = this.#ports
    const others = chain.committee.length - 1
    if (others < quorumOf(others + 1)) {
      // Nobody, or too few to decide anything without it, so no view will pass that it could be silent in.
      const who = others === 0 ? 'the only banker' : `this banker, without which the other ${others} cannot decide,`
      broken(`the log of ${who} is damaged: restore ${dir} from a copy`)
      return
    }
    broken('the log of this banker is damaged: it does not vote before it has caught up with the others')
    while (turn === this.#turn) {
      const view = await highestView()
      if (turn !== this.#turn) return
      if (view === undefined) {
        await env.clock.sleep(ASK_AGAIN_MS)
        continue
      }
      await this.#leave()
      const { log } = await beginVoteLog(fs, dir, owner, [{ type: 'silence', view }])
      await log.close()
      if (turn === this.#turn) this.take()
      return
    }
  }

  /** Nothing is lost: what was not synced was not said. So it may begin again, when the disk has room, and this one is gone. */
  #fail(error: unknown): void {
    const { env, broken } = this.#ports
    const left = this.#leave()
    this.#last = this.#last.then(() => left)
    this.#isDoubtful = true
    broken(`this banker does not vote: ${errorMessage(error)}`)
    const turn = this.#turn
    env.clock.timer(this.#retryMs, () => {
      if (turn === this.#turn) this.take()
    })
    this.#retryMs = Math.min(MAX_RETRY_MS, 2 * this.#retryMs)
  }
}
