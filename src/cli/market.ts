/** `chorale market ...`: what work costs, who offers and wants it, and what this host does of it. */
import { Command } from 'commander'
import { ChoraleError } from '../core/errors.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { type ModuleOptions, moduleOptions } from './job/own.ts'
import { askedFor } from './job/request.ts'
import { type QuoteOptions, quoteOptions, quoteTerms } from './job/terms.ts'
import { late, patiently, timeoutOption } from './ledger-patience.ts'
import { credits } from './ledger-text.ts'
import {
  describeAsked,
  describeBook,
  describeHistory,
  describePrices,
  describeQuote,
  describeSales,
} from './market-text.ts'

export function marketCommand(cli: Cli): Command {
  return new Command('market')
    .description('work for credits: prices, history, book, quote, sales, mediate')
    .addHelpText(
      'after',
      examples(
        'chorale market prices',
        '',
        'chorale market quote builtin:pi --samples 1e9',
        'what a job would cost, and why',
        'chorale job submit builtin:pi --samples 1e9 --max-cost 2 --wait',
        'buy it',
        'chorale lend set --cpu 2 --min-price 0.5',
        'sell: a node that lends makes offers by itself',
      ),
    )
    .addCommand(pricesCommand(cli))
    .addCommand(historyCommand(cli))
    .addCommand(bookCommand(cli))
    .addCommand(quoteCommand(cli))
    .addCommand(salesCommand(cli))
    .addCommand(mediateCommand(cli))
}

function pricesCommand(cli: Cli): Command {
  return new Command('prices')
    .description('show what a core-hour will probably cost in this price slot and the next seven, and the last price')
    .addHelpText('after', examples('chorale market prices', '', 'chorale market prices --json', 'for programs'))
    .action(
      cli.action(async () => {
        const { market } = await cli.connect()
        const prices = await market.prices({ signal: cli.signal })
        const text = describePrices(prices)
        cli.print('prices', prices, text ?? describeAsked(await market.book({ signal: cli.signal })))
        return 0
      }),
    )
}

function historyCommand(cli: Cli): Command {
  return new Command('history')
    .description('show what was traded in each price slot, the latest last: work, and its mean price')
    .addHelpText('after', examples('chorale market history', '', 'chorale market history --json', 'one slot per line'))
    .action(
      cli.action(async () => {
        const { market } = await cli.connect()
        const all = await market.history({ signal: cli.signal })
        const traded = all.filter(({ price }) => price !== null)
        if (cli.flags.json) for (const each of traded) cli.emit('traded', each)
        else if (traded.length > 0) cli.terminal.out(`${describeHistory(traded)}\n`)
        else cli.note(`nothing was traded yet: chorale market book${cli.at} shows what is offered`)
        return 0
      }),
    )
}

function bookCommand(cli: Cli): Command {
  return new Command('book')
    .description("show the offers to sell and to buy: in the ledger's book, or on the bulletin board only")
    .addHelpText('after', examples('chorale market book', '', 'chorale market book --json', 'with all of their terms'))
    .action(
      cli.action(async () => {
        const { market } = await cli.connect()
        const book = await market.book({ signal: cli.signal })
        cli.print('book', book, describeBook(book))
        if (book.sells.length + book.buys.length === 0) cli.note('no offers')
        return 0
      }),
    )
}

function quoteCommand(cli: Cli): Command {
  const command = new Command('quote').description('say what a job would cost, and why; does one of its tasks here')
  return quoteOptions(moduleOptions(command))
    .addHelpText(
      'after',
      examples(
        'chorale market quote builtin:pi --samples 1e9',
        '',
        'chorale market quote birthdays.ts --param people=23 --slot cheapest',
        'a job of your own, when it costs least',
      ),
    )
    .action(
      cli.action(async (module: string, options: ModuleOptions & QuoteOptions) => {
        const terms = await quoteTerms(options)
        const { host, run } = await askedFor(cli, module, options)
        const quote = await run((request) => host.market.quote({ request, ...terms }, { signal: cli.signal }))
        cli.print('quote', quote, describeQuote(quote))
        cli.note('nothing was submitted; chorale job submit with --max-cost buys it, never for more than that')
        return 0
      }),
    )
}

function salesCommand(cli: Cli): Command {
  return new Command('sales')
    .description('show what this node does for others for credits: how far it is, what is paid, and what is at stake')
    .addHelpText('after', examples('chorale market sales', '', 'chorale market sales --json', 'one sale per line'))
    .action(
      cli.action(async () => {
        const { market, lending } = await cli.connect()
        const sales = await market.sales({ signal: cli.signal })
        if (cli.flags.json) for (const sale of sales) cli.emit('sale', sale)
        else if (sales.length > 0) cli.terminal.out(`${describeSales(sales)}\n`)
        else {
          const { market: lender } = await lending.view({ signal: cli.signal })
          if (lender) cli.note(`nothing was sold; offered now: ${format.plain(lender.offer)}`)
          cli.note(`chorale lend show${cli.at} says what became of this node's offers`)
        }
        return 0
      }),
    )
}

function mediateCommand(cli: Cli): Command {
  return new Command('mediate')
    .description('do tasks again when others quarrel, for a fixed fee: on, for which a bond is put up; or off')
    .argument('<on|off>', 'on or off')
    .addOption(timeoutOption('how long to wait until it is final'))
    .addHelpText('after', examples('chorale market mediate on', '', 'chorale market mediate off', ''))
    .action(
      cli.action(async (word: string, { timeout }: { timeout: number }) => {
        if (word !== 'on' && word !== 'off') {
          throw new ChoraleError('usage', `it is on or off, not '${word}': try chorale market mediate on`)
        }
        const willing = word === 'on'
        const { market, ledger } = await cli.connect()
        const outcome = await patiently(cli, ledger, timeout, (options) => market.volunteer(willing, options)).catch(
          (error) => {
            throw late(error, 'the same command again goes on from there')
          },
        )
        const { result, message } = outcome
        const already = result === 'nothing-new' || (!willing && result === 'no-banker')
        if (result !== 'applied' && !already) {
          throw new ChoraleError(result === 'insufficient' ? 'credits' : 'usage', `nothing was done: ${message}`)
        }
        const state = willing ? 'this node is a mediator' : 'this node is no mediator'
        const bond = (await ledger.status({ here: true, signal: cli.signal })).banker?.bond ?? '0'
        cli.print('outcome', { ...outcome, willing, bond }, `${state}${already ? ' already' : ''}`)
        const locked = `locked as its bond, out of the balance: ${credits(bond)}`
        const down = `chorale ledger step-down${cli.at} gives notice of it`
        if (willing) {
          cli.note(`${locked}; ${down}`)
          cli.note(`it should be up when it is drawn; chorale market mediate off${cli.at} ends it`)
        } else if (bond !== '0') cli.note(`still ${locked}; ${down}`)
        return 0
      }),
    )
}
