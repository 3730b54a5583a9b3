/** `chorale down`: stops the node of this home. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { ChoraleError, errorCode } from '../core/errors.ts'
import { inspectHome } from '../home.ts'
import { sayAtStake } from './at-stake.ts'
import type { Cli } from './cli.ts'
import { examples } from './help.ts'

/** A polite leave takes at most 5 s (DESIGN 11). */
const PATIENCE_MS = 7000

export function downCommand(cli: Cli): Command {
  return new Command('down')
    .description('stop the running node; it leaves the ring politely')
    .option('--force', 'kill it if it does not leave')
    .addHelpText('after', examples('chorale down', '', 'chorale down --home ./node2', 'the node of another home'))
    .action(
      cli.action(async ({ force }: { force?: boolean }) => {
        const pid = cli.flags.api ? undefined : inspectHome(cli.flags.home)?.pid
        try {
          const host = await cli.connect()
          await sayAtStake(cli, host, 'start it again')
          await host.stop({ signal: cli.signal })
        } catch (error) {
          if (errorCode(error) !== 'no-node' || pid === undefined) throw error
          process.kill(pid, 'SIGTERM') // it starts just now, or its socket is lost
        }
        if (pid !== undefined) await waitForEnd(cli, pid, force === true)
        cli.print('down', { pid }, pid === undefined ? 'the node leaves' : `node ${pid} has left`)
        return 0
      }),
    )
}

async function waitForEnd(cli: Cli, pid: number, force: boolean): Promise<void> {
  const home = cli.flags.home
  for (let waitedMs = 0; inspectHome(home)?.pid === pid; waitedMs += 50) {
    if (cli.signal.aborted) throw cli.signal.reason
    if (waitedMs >= PATIENCE_MS) {
      if (!force) throw new ChoraleError('wait-timeout', `node ${pid} has not left yet: try chorale down --force`)
      process.kill(pid, 'SIGKILL')
      return
    }
    await sleep(50)
  }
}
