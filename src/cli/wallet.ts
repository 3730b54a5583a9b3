/** `chorale wallet ...`: the account of this home. Its key stays in the home; a running node signs with it. */
import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import type { AccountBody, LockedBody } from '../api/ledger-views.ts'
import { ChoraleError, type ErrorCode, errorCode, errorMessage } from '../core/errors.ts'
import { addressOf, parseAddress } from '../market/ledger/address.ts'
import { parsePayment } from '../market/ledger/credits.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { late, patiently, timeoutOption } from './ledger-patience.ts'
import { credits, entryRow, notKept } from './ledger-text.ts'
import { integer, place } from './values.ts'

export function walletCommand(cli: Cli): Command {
  return new Command('wallet')
    .description('the account of this home: address, balance, history, send, backup, restore')
    .addHelpText(
      'after',
      examples(
        'chorale wallet balance',
        '',
        'chorale wallet send ADDRESS 1.5',
        '',
        'chorale wallet backup wallet.copy',
        'whoever has the copy can spend what the account has: keep it safe',
      ),
    )
    .addCommand(addressCommand(cli))
    .addCommand(balanceCommand(cli))
    .addCommand(historyCommand(cli))
    .addCommand(sendCommand(cli))
    .addCommand(backupCommand(cli))
    .addCommand(restoreCommand(cli))
}

function addressCommand(cli: Cli): Command {
  return new Command('address')
    .description('print where others send credits to; makes a wallet if this home has none')
    .addHelpText('after', examples('chorale wallet address', ''))
    .action(
      cli.action(async () => {
        const { openWallet } = await import('../ledger-wallet.ts')
        const { keys, file, made } = openWallet(cli.flags.home)
        const address = addressOf(keys.publicKey)
        cli.print('wallet', { account: keys.publicKey, address, file, made }, address)
        if (made) cli.note(`a new wallet, in ${file}: keep a copy of it with\n  chorale wallet backup FILE${cli.at}`)
        return 0
      }),
    )
}

function balanceCommand(cli: Cli): Command {
  return new Command('balance')
    .description('show what an account has now; the committee is asked, so it is never an old figure')
    .argument('[address]', 'of which account (default: that of the node)')
    .option('--here', "what this node's copy has, at once, though it may lag")
    .addOption(timeoutOption('how long to wait for the committee'))
    .addHelpText(
      'after',
      examples(
        'chorale wallet balance',
        '',
        'chorale wallet balance -q',
        'the figure alone',
        'chorale wallet balance --here',
        'also while the ledger stands still',
      ),
    )
    .action(
      cli.action(async (address: string | undefined, { here, timeout }: { here?: true; timeout: number }) => {
        if (address !== undefined) parseAddress(address)
        const { ledger } = await cli.connect()
        const of = address ?? 'mine'
        const account = here
          ? await ledger.account(of, { here, signal: cli.signal })
          : await patiently(cli, ledger, timeout, (options) => ledger.account(of, options)).catch((error) => {
              throw late(error, `chorale wallet balance --here${cli.at} shows this node's copy`)
            })
        const total = BigInt(account.free) + BigInt(account.granted)
        const text = cli.flags.quiet ? credits(total).split(' ')[0]! : balance(account, total, here)
        cli.print('balance', { ...account, total: `${total}` }, text)
        if (!account.opened) cli.note(here ? "in this node's copy the account is not open" : notOpened(address))
        return 0
      }),
    )
}

function balance(account: AccountBody, total: bigint, here: true | undefined): string {
  const { address, free, granted, hosts, height } = account
  const copy = here ? " of this node's copy, which may lag" : ''
  return format.facts([
    ['balance', credits(total)],
    ['  free', `${credits(free)}, which may go anywhere`],
    ['  granted', `${credits(granted)}, for jobs and bonds; each credit that is earned frees one`],
    ...lockedFacts(account.locked),
    ['address', address],
    ['hosts', hosts.length > 0 ? hosts.map((host) => host.slice(0, 16)).join(', ') : 'none'],
    ['as of', height === null ? undefined : `block ${format.count(height)}${copy}`],
  ])
}

/** What is not in the balance, and why. */
function lockedFacts({ total, bonds, bought, deposits, escrows }: LockedBody): Array<[string, string | undefined]> {
  const row = ({ amount, count }: LockedBody['bonds'], what: string) =>
    amount === '0' ? undefined : `${credits(amount)} in ${format.some(count, what)}`
  const work = row(bought, 'contract')
  return [
    ['locked', total === '0' ? undefined : `${credits(total)}, beside the balance`],
    ['  bonds', row(bonds, 'bond')],
    ['  bought', work && `${work} as customer: prices and bonds; what is not earned comes back`],
    ['  deposits', row(deposits, 'contract')?.concat(' as supplier')],
    ['  payments', row(escrows, 'escrow')],
  ]
}

function notOpened(address: string | undefined): string {
  if (address !== undefined) return 'nobody has opened this account: nothing can be sent to it yet'
  return 'the account is not open yet: the node opens it as soon as the ledger decides, see chorale ledger status'
}

function historyCommand(cli: Cli): Command {
  return new Command('history')
    .description('show what moved the account, newest first, as far as this node keeps the chain')
    .argument('[address]', 'of which account (default: that of the node)')
    .addOption(
      new Option('--limit <n>', 'so many')
        .argParser(integer('--limit', { min: 1, max: 1000, example: '20' }))
        .default(20),
    )
    .addOption(
      new Option('--before <place>', 'only what is older than this place, as 12/0').argParser(place('--before')),
    )
    .addHelpText('after', examples('chorale wallet history', '', 'chorale wallet history --limit 100', ''))
    .action(
      cli.action(
        async (
          address: string | undefined,
          options: { limit: number; before?: ReturnType<ReturnType<typeof place>> },
        ) => {
          if (address !== undefined) parseAddress(address)
          const { ledger } = await cli.connect()
          const local = { here: true, signal: cli.signal } // also while the ledger stands still
          const entries = await ledger.history(address ?? 'mine', options, { signal: cli.signal })
          const mine = address?.toLowerCase() ?? (await ledger.account('mine', local)).address
          if (cli.flags.json) for (const entry of entries) cli.emit('entry', entry)
          else if (entries.length > 0)
            cli.terminal.out(`${format.columns(entries.map((entry) => entryRow(entry, mine)))}\n`)
          if (entries.length === 0) cli.note(options.before ? 'nothing older' : 'nothing yet')
          const last = entries.at(-1)
          if (last && entries.length === options.limit) {
            cli.note(`older ones: --before ${last.height}/${last.index}`)
          } else {
            const missing = notKept((await ledger.status(local)).base)
            if (missing) cli.note(missing)
          }
          return 0
        },
      ),
    )
}

function sendCommand(cli: Cli): Command {
  return new Command('send')
    .description('send credits to an account; done when that is final')
    .argument('<to>', 'address, as its owner sees it with chorale wallet address')
    .argument('<amount>', 'credits, with at most three decimals')
    .addOption(timeoutOption('how long to wait until it is final'))
    .addHelpText(
      'after',
      `${examples('chorale wallet send ADDRESS 1.5', '')}

Exit codes: 0 final, 2 or 7 refused, 3 not sent, 8 or 130 it may still come in: see chorale wallet history`,
    )
    .action(
      cli.action(async (to: string, text: string, { timeout }: { timeout: number }) => {
        const amount = parsePayment(text)
        parseAddress(to)
        const { ledger } = await cli.connect()
        await ledger.status({ here: true, signal: cli.signal }) // without a node nothing is in doubt
        const outcome = await patiently(cli, ledger, timeout, (options) =>
          ledger.send({ to, amount: `${amount}` }, options),
        ).catch((error) => {
          throw unpaid(cli, error)
        })
        const { result, message, place } = outcome
        if (result !== 'applied') throw new ChoraleError(codeOf(result), `not sent: ${message}`)
        cli.print('payment', { to, amount: `${amount}`, ...outcome }, `sent ${credits(amount)} to ${to}`)
        if (place)
          cli.note(
            `final in block ${place.height}; its receipt: chorale receipt show ${place.height}/${place.index}${cli.at}`,
          )
        return 0
      }),
    )
}

/** What may have been paid must not be sent again without a look; what a node says it has not sent may. */
function unpaid(cli: Cli, error: unknown): unknown {
  const look = `look at chorale wallet history${cli.at} before you send again`
  const wrap = (code: ErrorCode, line: string) => new ChoraleError(code, line, { cause: error })
  if (cli.signal.aborted) return wrap('interrupted', `stopped, but it may have been sent: ${look}`)
  const code = errorCode(error)
  switch (code) {
    case 'timeout':
    case 'busy':
    case 'unreachable':
      return wrap(code, `not sent, and it will not be: ${errorMessage(error)}`)
    case 'wait-timeout':
      return wrap(code, `not final yet, and it may still come in: ${look}`)
    case 'no-node':
      return wrap('wait-timeout', `the node has not answered, and it may have been sent: ${look}`)
    default:
      return error
  }
}

function codeOf(result: string): 'credits' | 'usage' {
  return result === 'insufficient' || result === 'granted-only' || result === 'no-account' ? 'credits' : 'usage'
}

function backupCommand(cli: Cli): Command {
  return new Command('backup')
    .description('copy the wallet of this home into a new file; whoever can read it can spend')
    .argument('<file>', 'a name that is free')
    .addHelpText('after', examples('chorale wallet backup wallet.copy', ''))
    .action(
      cli.action(async (name: string) => {
        const { backupWallet } = await import('../ledger-wallet.ts')
        const file = resolve(name)
        const { publicKey: account } = backupWallet(cli.flags.home, file)
        const address = addressOf(account)
        cli.print('backup', { account, address, file }, `the wallet of ${address} is also in ${file}`)
        cli.note(`get it back with\n  chorale wallet restore ${name}${cli.at}`)
        return 0
      }),
    )
}

function restoreCommand(cli: Cli): Command {
  return new Command('restore')
    .description('make a backup the wallet of this home, whose node must not be running')
    .argument('<file>', 'as chorale wallet backup has written it')
    .option('--replace', 'also if the home has another wallet, which is then kept beside it under another name')
    .addHelpText('after', examples('chorale wallet restore wallet.copy', ''))
    .action(
      cli.action(async (name: string, { replace = false }: { replace?: boolean }) => {
        const { restoreWallet } = await import('../ledger-wallet.ts')
        const { keys, file, made, before } = restoreWallet(cli.flags.home, resolve(name), { replace })
        const address = addressOf(keys.publicKey)
        const text = made
          ? `${cli.flags.home} has the wallet of ${address} now`
          : `${cli.flags.home} has had it before: ${address}`
        cli.print('restored', { account: keys.publicKey, address, file, made, ...(before && { before }) }, text)
        if (before) cli.note(`the wallet that was there is kept in ${before}`)
        return 0
      }),
    )
}
