/** Command line entry: ties `cli/program.ts` to this process. */
import { Socket } from 'node:net'
import { CLOSED_PIPE, type Terminal } from './cli/cli.ts'
import { EXIT } from './cli/exit.ts'
import { run } from './cli/program.ts'
import { ChoraleError } from './core/errors.ts'

/** npm passes a Ctrl-C on that the terminal has sent already; what arrives together is one. */
const SAME_MS = 300

const interrupt = new AbortController()
let interruptedAtMs = 0

function stop(reason: ChoraleError): void {
  const now = performance.now()
  // The second one does not wait for anything; what runs in other processes notices that this one is gone.
  if (interrupt.signal.aborted && now - interruptedAtMs > SAME_MS) process.exit(EXIT.interrupted)
  if (interrupt.signal.aborted) return
  interruptedAtMs = now
  interrupt.abort(reason)
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => stop(new ChoraleError('interrupted', `stopped by ${signal}`)))
}
const { CHORALE_LAUNCHER_FD: launcherFd } = process.env
if (launcherFd !== undefined) {
  // bin/chorale.js runs this in a process of its own: its pipe closes when it is killed. Not for what is started here.
  delete process.env.CHORALE_LAUNCHER_FD
  const launcher = new Socket({ fd: Number(launcherFd), readable: true, writable: false })
  launcher.on('error', () => {}) // `close` follows
  launcher.once('close', () => stop(new ChoraleError('interrupted', 'stopped: its launcher has ended')))
  launcher.resume().unref()
}
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // `chorale job list | head -1`: the reader has what it wanted.
    if (error.code === 'EPIPE' && !interrupt.signal.aborted) stop(CLOSED_PIPE)
  })
}

const terminal: Terminal = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  write: (bytes) =>
    new Promise((resolve, reject) => {
      process.stdout.write(bytes, (error) => {
        if (!error) resolve()
        else if ((error as NodeJS.ErrnoException).code === 'EPIPE') reject(CLOSED_PIPE)
        else reject(new ChoraleError('io', `cannot write the output: ${error.message}`, { cause: error }))
      })
    }),
  input: () => process.stdin,
  live: process.stderr.isTTY === true,
  tty: process.stdout.isTTY === true,
  width: () => process.stderr.columns || process.stdout.columns || 80,
  variables: process.env,
  signal: interrupt.signal,
}

// Exits, or a library's forgotten timer would keep a command that is done. Pipes and files are written by then.
process.exit(await run(process.argv.slice(2), terminal))
