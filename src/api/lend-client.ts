/** The lending of a running host, from the other end of the control API. */
import type { SettingBody } from '../market/lending/setting.ts'
import { type CallOptions, caller } from './calls.ts'
import type { LendBody } from './lend-views.ts'

export interface RemoteLending {
  view(options?: CallOptions): Promise<LendBody>
  /** What is said of it is different from now on, and is kept. */
  set(change: SettingBody, options?: CallOptions): Promise<LendBody>
  /** Takes some seconds. */
  measure(options?: CallOptions): Promise<LendBody>
}

export function remoteLending(socketPath: string): RemoteLending {
  const call = caller(socketPath)
  return {
    view: (options) => call('GET', '/v1/lend', undefined, options),
    set: (change, options) => call('POST', '/v1/lend', change, options),
    measure: (options) => call('POST', '/v1/lend/measure', {}, options),
  }
}
