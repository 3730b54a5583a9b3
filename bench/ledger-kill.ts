/**
 * `npm run bench -- ledger-kill --members 7 --kill 2 --rounds 20 --json`: SIGKILL for members of a ledger's committee, again and
 * again, while clients pay. Members are real nodes with homes of their own. A round: some members, chosen at random, are killed; the
 * clients go on with the others; the killed are started again from their homes, and catch up. Then all members are killed at once
 * and started again, with no address but those in their homes; the clients' node, which runs in this process, is stopped till they
 * are up. At the end of each round the clients rest and the books are checked (`ledger-kill/books.ts`). Lost is what a client was told is final and any member does not have.
 */
import { seededRandom, shuffled } from '../src/core/random.ts'
import { auditFaults, Books } from './ledger-kill/books.ts'
import { Members } from './ledger-kill/members.ts'
import { Payers } from './ledger-kill/payers.ts'
import { quantile } from './measure.ts'
import { readOptions } from './options.ts'
import { stopOnSignal } from './stop.ts'

const WANDERERS = 2
/** Before, during and after each fault so many payments must become final. */
const PAYMENTS = 20

const { numbers, json } = readOptions({
  members: { default: 7, min: 4, max: 31 },
  kill: { default: 2, min: 1, max: 10 },
  rounds: { default: 20, min: 1, max: 1000 },
  clients: { default: 4, min: 2, max: 14 },
  seed: { default: 42, min: 0, max: 2 ** 32 - 1 },
})
const { members: count, kill, rounds, clients, seed } = numbers
const most = Math.floor((count - 1) / 3)
if (count % 3 !== 1 || kill > most) {
  const why = count % 3 === 1 ? `of ${count} members at most ${most} may be killed` : '--members is 4, 7, 10, ... 31'
  console.error(`bench: ${why}`)
  process.exit(2)
}

interface Row {
  readonly round: number
  readonly killed: readonly number[]
  /** The longest time without a payment that became final, from the kill of some until they had caught up. */
  readonly haltMs: number
  /** From the start of the killed processes until they have what the others have. */
  readonly catchUpMs: number
  /** From the kill of all, and from the moment when all were ready again, until a payment was final. */
  readonly blackoutMs: number
  readonly goOnMs: number
  readonly acknowledged: number
}

const stop = stopOnSignal()
const random = seededRandom(`ledger kill ${seed}`)
const rows: Row[] = []
const faults: string[] = []
let [lost, wrong, silent, receipts, height] = [0, 0, 0, 0, 0]
let payments = { asked: 0, acknowledged: 0 }
const startMs = performance.now()

{
  await using members = new Members(count, stop.signal)
  const payers = new Payers(members, clients, random, stop.signal)
  const books = new Books(members, payers)
  try {
    await members.found()
    await payers.open()
    await payers.earn()
    await books.open()
    payers.start(WANDERERS)
    for (let round = 1; round <= rounds && faults.length === 0; round++) {
      const row = await runRound(round, members, payers)
      rows.push(row)
      const found = await books.check()
      faults.push(...payers.faults, ...found.faults)
      faults.push(...(await auditFaults(round === rounds ? members.nodes : [members.nodes[round % count]!])))
      ;({ lost, wrong, silent, height } = found)
      receipts += found.receipts
      const { killed, haltMs, catchUpMs, blackoutMs, goOnMs, acknowledged } = row
      console.error(
        `round ${round}: killed ${killed.join(' ')}, halt ${haltMs} ms, caught up after ${catchUpMs} ms; all killed, final again after ${blackoutMs} ms (${goOnMs} ms after all were up); ${acknowledged} payments acknowledged, ${lost} lost`,
      )
    }
  } catch (error) {
    if (!stop.signal.aborted) faults.push((error as Error).message)
  } finally {
    await payers.end()
    payments = { asked: payers.payments.length, acknowledged: payers.acknowledged }
  }
}

async function runRound(round: number, members: Members, payers: Payers): Promise<Row> {
  const before = payers.acknowledged
  payers.resume()
  await payers.more(PAYMENTS)

  const killed = shuffled(members.nodes, random).slice(0, kill)
  payers.longestGapMs()
  await members.kill(killed)
  await payers.more(PAYMENTS)
  const startedAtMs = performance.now()
  await members.start(killed)
  await members.caughtUp()
  const catchUpMs = Math.round(performance.now() - startedAtMs)
  const haltMs = payers.longestGapMs()
  await payers.more(PAYMENTS)

  const killedAtMs = performance.now()
  await members.kill(members.nodes)
  await payers.close()
  const told = payers.acknowledged // what was final before
  await members.start(members.nodes)
  const readyAtMs = performance.now()
  const opened = payers.open()
  opened.catch(() => {})
  await payers.until('a payment is final again', () => payers.acknowledged > told)
  const [blackoutMs, goOnMs] = [killedAtMs, readyAtMs].map((ms) => Math.round(performance.now() - ms)) as [
    number,
    number,
  ]
  await opened
  await payers.more(PAYMENTS)
  await payers.pause()
  const numbers = killed.map(({ index }) => index + 1).sort((a, b) => a - b)
  return { round, killed: numbers, haltMs, catchUpMs, blackoutMs, goOnMs, acknowledged: payers.acknowledged - before }
}

for (const fault of faults) console.error(`bench: ${fault}`)
const worst = (values: readonly number[]) => values.toSorted((a, b) => a - b).at(-1) ?? null
const median = (values: readonly number[]) =>
  values.length > 0
    ? quantile(
        values.toSorted((a, b) => a - b),
        0.5,
      )
    : null
const of = (field: 'haltMs' | 'catchUpMs' | 'blackoutMs' | 'goOnMs') => rows.map((row) => row[field])
const result = {
  members: count,
  kill,
  seed,
  rounds: rows.length,
  ...payments,
  lost,
  wrong,
  silent,
  faults: faults.length,
  height,
  receipts,
  longestHaltMs: worst(of('haltMs')),
  medianCatchUpMs: median(of('catchUpMs')),
  longestCatchUpMs: worst(of('catchUpMs')),
  medianBlackoutMs: median(of('blackoutMs')),
  longestBlackoutMs: worst(of('blackoutMs')),
  longestGoOnMs: worst(of('goOnMs')),
  seconds: Math.round((performance.now() - startMs) / 1000),
}
if (json) console.log(JSON.stringify({ v: 1, type: 'bench', ...result, rows }))
else {
  console.log(
    `${result.rounds} rounds, ${payments.acknowledged} payments acknowledged, ${lost} lost, ${faults.length} faults`,
  )
  console.log(
    `longest halt ${result.longestHaltMs} ms, caught up after at most ${result.longestCatchUpMs} ms; with all killed at most ${result.longestBlackoutMs} ms`,
  )
}
process.exitCode = stop.signal.aborted ? 130 : faults.length > 0 || rows.length < rounds ? 1 : 0
