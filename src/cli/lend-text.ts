/** Lending as text for people. */
import type { LendBody, MarketBody } from '../api/lend-views.ts'
import { TASK_MEMORY_BYTES } from '../core/limits.ts'
import type { SettingBody } from '../market/lending/setting.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { credits } from './ledger-text.ts'
import { sandboxLine } from './sandbox.ts'

/** What was set, where no node runs. */
export function describeSetting(setting: SettingBody): string {
  const { cores, memoryBytes, storeBytes, when, paused } = setting
  return format.facts([
    ['state', paused ? 'paused, until chorale lend resume' : 'not paused'],
    ['cpu', cores === null || cores === undefined ? 'all' : format.some(cores, 'core')],
    ['memory', memoryBytes == null ? 'as the cores need' : format.bytes(memoryBytes)],
    ['store', storeBytes == null ? 'the usual' : format.bytes(storeBytes)],
    ['when', when],
    ['least price', leastPrice(setting)],
    ['level', levelLine(setting)],
  ])
}

export function describeLending(cli: Cli, body: LendBody): string {
  const { setting, state, why, given, slots, busy, tasksRunning, tasksDone, processes, machine } = body
  const { cores, memoryBytes, storeBytes } = setting
  const forNow = (name: string) => (given.includes(name) ? ', for this run' : '')
  const lends = state === 'lending'
  const still = !lends && tasksRunning > 0 ? `; ${format.some(tasksRunning, 'task')} still run` : ''
  const most = `${processes} process${processes === 1 ? '' : 'es'} of ${format.bytes(TASK_MEMORY_BYTES)}`
  const store = storeBytes ?? body.storeCapacityBytes
  const later =
    store === body.storeCapacityBytes ? '' : `, from the next start on; ${format.bytes(body.storeCapacityBytes)} now`
  return format.facts([
    ['state', `${cli.paint(lends ? 'green' : 'yellow', lends ? 'lending' : 'not lending')}: ${why}${still}`],
    ['cpu', `${cores === null ? 'all' : cores} of ${format.some(machine.cores, 'core')}${forNow('cores')}`],
    [
      'memory',
      memoryBytes === null
        ? `as the cores need: for foreign code at most ${most}, idle ones included`
        : `${format.bytes(memoryBytes)} of ${format.bytes(machine.memoryBytes)}: ${most}${forNow('memoryBytes')}`,
    ],
    ['slots', `${format.some(slots, 'task')} at once; ${busy} at work`],
    ['store', `${format.bytes(store)}${later}${forNow('storeBytes')}`],
    ['when', setting.when],
    ['level', `${levelLine(setting)}${body.sandbox ? `; code runs here at ${sandboxLine(body.sandbox)}` : ''}`],
    ['speed', speedLine(body)],
    ['tasks', `${format.count(tasksDone)} done since the node started`],
    ['least price', leastPrice(setting)],
    ...marketLines(body.market),
    ['earned by contracts', body.market ? `${credits(body.market.earned)} since the node started` : undefined],
    ['earned by flat pay', flatPayLine(body)],
  ])
}

function leastPrice({ minPrice }: SettingBody): string {
  return minPrice === 'auto' || minPrice === undefined ? 'auto' : `${credits(minPrice)} for an hour of one core`
}

function levelLine({ level }: SettingBody): string {
  return level === 'os' ? 'os: nothing is lent without bubblewrap' : 'process, or better where it can be had'
}

function speedLine({ speed, speedHolds }: LendBody): string {
  if (!speed) return 'not measured yet: chorale lend show --measure'
  const { mips, measuredAtMs, tasksRunning, runs } = speed
  const spread = `${format.count(runs[0] ?? mips)} to ${format.count(runs.at(-1) ?? mips)} in ${runs.length} runs`
  const figure = `${format.count(mips)} million instructions/s on one core (${spread})`
  const busy = tasksRunning > 0 ? `, while ${format.some(tasksRunning, 'task')} ran` : ''
  const old = speedHolds ? '' : '; since then the machine, the engine or the level has changed'
  return `${figure}, ${format.instant(measuredAtMs)}${busy}${old}`
}

function flatPayLine({ earnings: { amount, payments, isAll } }: LendBody): string {
  const all = isAll ? '' : ', as far as this node keeps the chain'
  return `${credits(amount)} in ${format.some(payments, 'payment')}${all}`
}

function marketLines(market: MarketBody | null): Array<readonly [string, string | undefined]> {
  if (!market) {
    const paid = 'whoever submits a job pays a flat price for each task (up --pay)'
    return [['market', `this network has none yet: no offers are seen, and the least price is not asked for; ${paid}`]]
  }
  const { offer, seen, fitting, pricedOut, won, verified, whyNot } = market
  return [
    ['offer', format.plain(offer)],
    ['offers to buy', `${seen} seen, ${fitting} fitting, ${pricedOut} priced out, ${won} won, ${verified} verified`],
    ['why not', whyNot.length > 0 ? whyNot.join(', ') : undefined],
  ]
}
