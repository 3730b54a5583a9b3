/** The setting of lending in a home whose node does not run. */
import { ChoraleError } from './core/errors.ts'
import { inspectHome, prepareHome } from './home.ts'
import { keepLending, readLending } from './lend-file.ts'
import { thisMachine } from './lend-machine.ts'
import { stateOf } from './mapreduce/sandbox/admission.ts'
import { inspectMachine } from './mapreduce/sandbox/sandbox.ts'
import { whyNoWalls } from './market/lending/decision.ts'
import type { Kept } from './market/lending/lender.ts'
import { type LendChange, requireFitting } from './market/lending/setting.ts'

/** The default where nothing was set. Throws `config` when what is kept is damaged. */
export function lendingOf(home: string): Kept {
  return readLending(home)
}

/**
 * Changes it for the next start; makes the home if there is none. Rejects with `usage` when this machine has not what is to be
 * lent, with `config` when the home cannot be used or its node runs, and `io`.
 */
export async function setLending(home: string, change: LendChange): Promise<Kept> {
  requireFitting(change, thisMachine())
  if (change.level === 'os') {
    const walls = whyNoWalls(stateOf(await inspectMachine(), {}))
    if (walls !== undefined) throw new ChoraleError('usage', walls)
  }
  const pid = inspectHome(home)?.pid
  if (pid !== undefined) {
    throw new ChoraleError('config', `process ${pid} runs in ${home} and does not answer yet: try again, or stop it`)
  }
  prepareHome(home)
  const kept = readLending(home)
  const changed = { ...kept, setting: { ...kept.setting, ...change } }
  keepLending(home, changed)
  return changed
}
