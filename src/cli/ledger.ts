/** `chorale ledger status|verify`: how the ledger is, and an audit of all that this node has of it. */
import { Command } from 'commander'
import type { LedgerBody, OutcomeBody, SteppedBody } from '../api/ledger-views.ts'
import { ChoraleError } from '../core/errors.ts'
import type { Audit } from '../ledger-audit.ts'
import type { Cli } from './cli.ts'
import { EXIT } from './exit.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { late, patiently, timeoutOption } from './ledger-patience.ts'
import { credits, short } from './ledger-text.ts'

export function ledgerCommand(cli: Cli): Command {
  return new Command('ledger')
    .description('the books of the network: status, verify, stand, step-down')
    .addHelpText(
      'after',
      examples(
        'chorale ledger status',
        '',
        'chorale ledger verify',
        '',
        'chorale ledger stand',
        'help to keep the books',
      ),
    )
    .addCommand(statusCommand(cli))
    .addCommand(verifyCommand(cli))
    .addCommand(standCommand(cli))
    .addCommand(stepDownCommand(cli))
}

function statusCommand(cli: Cli): Command {
  return new Command('status')
    .description('show height, view, epoch, committee, your seat, supply, and whether it stands still')
    .addHelpText('after', examples('chorale ledger status', '', 'chorale ledger status --json', 'for programs'))
    .action(
      cli.action(async () => {
        const { ledger } = await cli.connect()
        const status = await ledger.status({ signal: cli.signal })
        cli.print('ledger', status, describe(cli, status))
        return 0
      }),
    )
}

function verifyCommand(cli: Cli): Command {
  return new Command('verify')
    .description(
      'replay the chain that this home keeps: every signature, every operation, the supply; exit code 9 if not',
    )
    .addHelpText('after', examples('chorale ledger verify', '', 'chorale ledger verify --home ./node2', ''))
    .action(
      cli.action(async () => {
        const { auditHome } = await import('../ledger-audit.ts')
        const found = await auditHome(cli.flags.home, (height, of) => {
          if (cli.live && height % 1000 === 0) cli.terminal.err(`\rblock ${height} of ${of}`)
        })
        if (cli.live && found.height >= 1000) cli.terminal.err('\r\u001b[K')
        const { minted, burnt, held, fault = null, ...rest } = found
        const totals = { minted: `${minted}`, burnt: `${burnt}`, held: `${held}` }
        if (fault === null) cli.print('audit', { good: true, fault, ...rest, ...totals }, audited(found))
        else {
          if (cli.flags.json) cli.emit('audit', { good: false, fault, ...rest, ...totals })
          cli.terminal.err(`${cli.paint('red', 'chorale:')} the chain is bad from here on: ${format.plain(fault)}\n`)
        }
        return fault === null ? EXIT.ok : EXIT.mismatch
      }),
    )
}

function standCommand(cli: Cli): Command {
  return new Command('stand')
    .description('have this node stand for the committee, with a bond; seats are given at the end of each epoch')
    .addOption(timeoutOption('how long to wait until it is final'))
    .addHelpText('after', examples('chorale ledger stand', ''))
    .action(
      cli.action(async ({ timeout }: { timeout: number }) => {
        const { ledger } = await cli.connect()
        const outcome = await patiently(cli, ledger, timeout, (options) => ledger.stand(options)).catch(unfinished)
        const isOld = outcome.result === 'is-candidate'
        if (!isOld) requireApplied(outcome, 'the node does not stand')
        cli.print('outcome', outcome, `this node stands for the committee${isOld ? ' already' : ''}`)
        cli.note(`it must be up in each epoch, or it may stand no longer; chorale ledger step-down${cli.at} ends it`)
        return 0
      }),
    )
}

function stepDownCommand(cli: Cli): Command {
  return new Command('step-down')
    .description('stand no longer, and give notice of the bond; the same again, when that is over, takes the bond back')
    .addOption(timeoutOption('how long to wait until it is final'))
    .addHelpText('after', examples('chorale ledger step-down', ''))
    .action(
      cli.action(async ({ timeout }: { timeout: number }) => {
        const { ledger } = await cli.connect()
        const outcome = await patiently(cli, ledger, timeout, (options) => ledger.stepDown(options)).catch(unfinished)
        const { banker, did, result } = outcome
        if (result === 'still-bonded' && banker) throw new ChoraleError('usage', stillBonded(outcome, banker))
        requireApplied(outcome, 'nothing was done')
        const notice = banker && `notice was given: ${credits(banker.leaving)} can be had back`
        const text = did === 'notice' ? notice : did === 'returned' ? 'the bond is back' : undefined
        cli.print('outcome', outcome, text ?? 'this node stands no longer; it has no bond')
        if (banker && did === 'notice')
          cli.note(`after ${over(banker)}, when the node has no seat, by chorale ledger step-down${cli.at}`)
        return 0
      }),
    )
}

/** When notice is over. Told to the second, and never too early. */
function over({ leavingAtMs }: { readonly leavingAtMs: number }): string {
  return format.instant(Math.ceil(leavingAtMs / 1000) * 1000)
}

/** Which of the conditions for having the bond back is not met. */
function stillBonded({ seat, blockTimeMs }: SteppedBody, banker: NonNullable<SteppedBody['banker']>): string {
  const sum = credits(banker.leaving)
  const then = over(banker)
  if (blockTimeMs < banker.leavingAtMs) {
    const last = `the ledger's time, which is that of its last block, is ${format.instant(blockTimeMs)}`
    return `nothing was done yet: ${sum} can be had back after ${then}, and ${last}: try again a little later`
  }
  if (seat !== null)
    return `nothing was done yet: the node has a seat until the epoch ends; then ${sum} can be had back`
  return `nothing was done yet: ${sum} can be had back since ${then}: the same command again gets it`
}

/** What was done of it stays done, and is not done twice. */
function unfinished(error: unknown): never {
  throw late(error, 'the same command again goes on from there')
}

function requireApplied({ result, message }: OutcomeBody, what: string): void {
  if (result === 'applied') return
  throw new ChoraleError(result === 'insufficient' ? 'credits' : 'usage', `${what}: ${message}`)
}

function audited(found: Audit): string {
  const { network, base, height, epoch, blockTimeMs, operations, signatures, accounts, minted, burnt, held } = found
  const from = base > 0 ? `the snapshot of block ${format.count(base)}` : 'the genesis'
  return format.facts([
    [
      'good',
      `${format.some(height - base, 'block')} from ${from} on, to epoch ${format.count(epoch)}, ${format.instant(blockTimeMs)}`,
    ],
    [
      'snapshot',
      base > 0 ? 'the headers of all epochs lead to it from the genesis; its blocks are not here' : undefined,
    ],
    ['checked', `${format.some(operations, 'operation')}, ${format.some(signatures, 'signature')}`],
    [
      'supply',
      `${credits(held)} in ${format.some(accounts, 'account')}, escrows and bonds = ${credits(minted)} made - ${credits(burnt)} burnt`,
    ],
    ['ledger id', network],
  ])
}

function describe(cli: Cli, status: LedgerBody): string {
  const { base, height, view, epoch, blockTimeMs, committee, seat } = status
  const { supply, minted, burnt, accounts, pending, lag } = status
  const tolerated = Math.floor((committee.length - 1) / 3)
  const { halted, banker } = status
  return format.facts([
    ['state', halted === null ? cli.paint('green', 'well') : cli.paint('red', `stands still: ${format.plain(halted)}`)],
    ['height', `${format.count(height)}, ${format.instant(blockTimeMs)}`],
    ['kept', base > 0 ? `from block ${format.count(base + 1)} on: it began with a snapshot` : undefined],
    ['lag', lag > 0 ? `${format.some(lag, 'block')} behind what it has heard of` : undefined],
    ['epoch', `${format.count(epoch)}, view ${format.count(view)}`],
    [
      'committee',
      `${format.some(committee.length, 'seat')}, of which ${tolerated} may lie: ${committee.map(short).join(' ')}`,
    ],
    ['your seat', seat === null ? 'none: this node follows' : `${seat}`],
    ['your bond', banker ? bondLine(banker) : undefined],
    [
      'supply',
      `${credits(supply)} in ${format.some(accounts, 'account')}; ${credits(minted)} made, ${credits(burnt)} burnt`,
    ],
    ['waiting', pending > 0 ? format.some(pending, 'operation') : undefined],
    ['ledger id', status.network],
  ])
}

function bondLine({ stands, bond, leaving, leavingAtMs }: NonNullable<LedgerBody['banker']>): string {
  const notice = leaving === '0' ? '' : `; ${credits(leaving)} until ${over({ leavingAtMs })}`
  return `${credits(bond)}, ${stands ? 'stands for the committee' : 'does not stand'}${notice}`
}
