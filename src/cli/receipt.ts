/** `chorale receipt list|show|verify`: proof that an operation is in the ledger, which needs no node to be checked. */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import { actionBody } from '../api/ledger-views.ts'
import { ChoraleError, errorMessage } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import type { ReceiptFacts } from '../ledger-receipts.ts'
import { addressOf } from '../market/ledger/address.ts'
import type { Place } from '../market/ledger/ledger.ts'
import type { Cli } from './cli.ts'
import { EXIT } from './exit.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { named, notKept, told } from './ledger-text.ts'
import { integer, ledgerId, place } from './values.ts'

export function receiptCommand(cli: Cli): Command {
  return new Command('receipt')
    .description('proof of what is in the ledger: list, show, verify')
    .addHelpText(
      'after',
      examples(
        'chorale receipt list',
        '',
        'chorale receipt show 12/0 -o payment.receipt',
        'a file for others',
        'chorale receipt verify payment.receipt',
        'on any machine, without a network',
      ),
    )
    .addCommand(listCommand(cli))
    .addCommand(showCommand(cli))
    .addCommand(verifyCommand(cli))
}

function listCommand(cli: Cli): Command {
  return new Command('list')
    .description('list what the account of this node has receipts of, newest first')
    .addOption(
      new Option('--limit <n>', 'so many')
        .argParser(integer('--limit', { min: 1, max: 1000, example: '20' }))
        .default(20),
    )
    .addHelpText('after', examples('chorale receipt list', ''))
    .action(
      cli.action(async ({ limit }: { limit: number }) => {
        const { ledger } = await cli.connect()
        const entries = await ledger.history('mine', { limit }, { signal: cli.signal })
        const local = { here: true, signal: cli.signal } // also while the ledger stands still
        const { address } = await ledger.account('mine', local)
        for (const { height, index, timeMs, by, action, result } of cli.flags.json ? entries : []) {
          cli.emit('receipt', { height, index, timeMs, by, kind: action.kind, result })
        }
        if (entries.length < limit) {
          const missing = notKept((await ledger.status(local)).base)
          if (missing) cli.note(missing)
        }
        if (entries.length === 0) return void cli.note('no receipts yet')
        if (cli.flags.json) return 0
        const rows = entries.map((entry) => [
          `${entry.height}/${entry.index}`,
          format.instant(entry.timeMs),
          told(entry, address),
        ])
        cli.terminal.out(`${format.columns(rows)}\n`)
        return 0
      }),
    )
}

function showCommand(cli: Cli): Command {
  return new Command('show')
    .description('show what a receipt says; of a place in the ledger, it is fetched from the node')
    .argument('<receipt>', 'HEIGHT/INDEX, as receipt list prints it, or a file')
    .option('-o, --out <file>', 'write it to a new file')
    .addHelpText('after', examples('chorale receipt show 12/0', '', 'chorale receipt show 12/0 -o payment.receipt', ''))
    .action(
      cli.action(async (what: string, { out }: { out?: string }) => {
        const bytes = /^\d+\/\d+$/.test(what) ? await fetched(cli, place('RECEIPT')(what)) : await read(what)
        const { receiptFacts } = await import('../ledger-receipts.ts')
        const facts = receiptFacts(bytes)
        if ('code' in facts) return bad(cli, what, facts)
        if (out !== undefined) write(resolve(out), bytes)
        cli.print(
          'receipt',
          { ...fields(facts), bytes: bytes.length, ...(out && { out: resolve(out) }) },
          describe(facts),
        )
        cli.note(
          out === undefined
            ? 'what it says was not verified'
            : `written: chorale receipt verify ${out} --ledger ${facts.network}`,
        )
        return 0
      }),
    )
}

function verifyCommand(cli: Cli): Command {
  return new Command('verify')
    .description(
      'is it a good receipt? Needs no node and no network; exit code 9 if it is bad, 10 if it proves a refusal',
    )
    .argument('<file>', 'as chorale receipt show -o has written it')
    .addOption(
      new Option('--ledger <id>', 'the ledger id of its network (default: that of this home)').argParser(
        ledgerId('--ledger'),
      ),
    )
    .addHelpText('after', examples('chorale receipt verify payment.receipt', ''))
    .action(
      cli.action(async (file: string, { ledger: given }: { ledger?: Key }) => {
        const { faultIn, networkIn, receiptFacts } = await import('../ledger-receipts.ts')
        const bytes = await read(file)
        const facts = receiptFacts(bytes)
        if ('code' in facts) return bad(cli, file, facts)
        const known = given ?? networkIn(cli.flags.home)
        const fault = faultIn(bytes, known ?? facts.network)
        if (fault) return bad(cli, file, fault)
        if (known === undefined) {
          throw new ChoraleError(
            'usage',
            `${file} is good if its ledger is, which nobody here vouches for: add --ledger ${facts.network} if you know it`,
          )
        }
        const vouched = given ? 'option' : 'home'
        const { result } = facts
        const isApplied = result === 'applied'
        const verdict = `good: a receipt that it was ${isApplied ? result : `refused (${result})`}`
        cli.print('receipt', { file, good: true, vouched, ...fields(facts) }, `${verdict}\n${describe(facts)}`)
        return isApplied ? EXIT.ok : EXIT.refused
      }),
    )
}

async function fetched(cli: Cli, at: Place): Promise<Uint8Array> {
  return await (await cli.connect()).ledger.receipt(at, { signal: cli.signal })
}

async function read(file: string): Promise<Uint8Array> {
  const { readReceiptFile } = await import('../ledger-receipts.ts')
  return readReceiptFile(file)
}

function write(file: string, bytes: Uint8Array): void {
  try {
    writeFileSync(file, bytes, { flag: 'wx' })
  } catch (error) {
    throw new ChoraleError('io', `cannot write ${file}: ${errorMessage(error)}`, { cause: error })
  }
}

/** The one line, and for programs what is wrong by its code. */
function bad(cli: Cli, file: string, fault: { readonly code: string; readonly message: string }): number {
  if (cli.flags.json) cli.emit('receipt', { file, good: false, fault })
  cli.terminal.err(
    `${cli.paint('red', 'chorale:')} ${file} is a bad receipt (${fault.code}): ${format.plain(fault.message)}\n`,
  )
  return EXIT.mismatch
}

function fields({ operation, ...facts }: ReceiptFacts) {
  const { account, nonce, action } = operation
  return { ...facts, account, address: addressOf(account), nonce, action: actionBody(action) }
}

function describe(facts: ReceiptFacts): string {
  const { network, height, index, epoch, blockTimeMs, operation, result, signatures } = facts
  const { account } = operation
  const action = actionBody(operation.action)
  return format.facts([
    ['what', told({ by: addressOf(account), action, result })],
    ['account', addressOf(account)],
    ...named(action),
    ['place', `${height}/${index}, in epoch ${epoch}, signed by ${format.some(signatures, 'banker')}`],
    ['time', format.instant(blockTimeMs)],
    ['ledger id', network],
  ])
}
