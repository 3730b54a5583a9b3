/** The routes of lending (routes.ts), at the node's end. */
import type { HostLending } from '../lend-host.ts'
import { changeOf, settingSchema } from '../market/lending/setting.ts'
import type { LedgerCall } from './ledger-routes.ts'
import { lendBody } from './lend-views.ts'
import { parse } from './parse.ts'
import { readJson, sendJson } from './streams.ts'

/** False: there is no such route. */
export async function answerLend(lending: HostLending, call: LedgerCall): Promise<boolean> {
  const { request, response, method, segments, signal } = call
  switch (`${method} ${segments.join('/')}`) {
    case 'GET lend':
      break
    case 'POST lend':
      lending.set(changeOf(parse(settingSchema, await readJson(request))))
      break
    case 'POST lend/measure':
      await lending.measure({ signal })
      break
    default:
      return false
  }
  sendJson(response, 200, lendBody(await lending.view()))
  return true
}
