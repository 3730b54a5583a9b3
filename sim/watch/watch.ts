/** `--watch`: a run in the terminal while it goes on, or kept as a page to play back. */
import { closeSync, existsSync, openSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { ChoraleError, errorMessage } from '../../src/core/errors.ts'
import { pageOf } from './page.ts'
import { Recorder } from './recorder.ts'
import { type Screen, TerminalView } from './terminal.ts'

export interface Watch {
  /** For the scenario, which tells it what happens. */
  readonly recorder: Recorder
  /** Progress, for people. */
  say(line: string): void
  /** The run is over, or has thrown: draws or writes what there is of it. */
  end(): Promise<void>
}

/**
 * `where`: a file for the page; true: the terminal. Throws `usage` when there is no terminal, and when the file cannot be
 * written: before the run, not after it.
 */
export function openWatch(where: string | true, command: string, stream: NodeJS.WriteStream = process.stderr): Watch {
  if (where !== true) return pageWatch(where, command, stream)
  if (!stream.isTTY) {
    throw new ChoraleError(
      'usage',
      '--watch draws in a terminal, and this is none: --watch FILE.html makes a page instead',
    )
  }
  return terminalWatch(command, stream)
}

/** A run of this length has the page draw it in a browser at ease; the terminal forgets what it has drawn. */
const FORGET_AFTER_MS = 20_000

function terminalWatch(command: string, screen: Screen): Watch {
  const recorder = new Recorder(command)
  const never = new Int32Array(new SharedArrayBuffer(4))
  const hold = (ms: number) => void Atomics.wait(never, 0, 0, ms)
  const view = new TerminalView(recorder.run, screen, () => performance.now(), hold)
  recorder.onLook = (nowMs) => {
    view.look(nowMs)
    recorder.forget(nowMs - FORGET_AFTER_MS)
  }
  return {
    recorder,
    say: (line) => {
      view.said = line
    },
    end: async () => {
      if (recorder.end()) view.draw(recorder.run.endMs)
    },
  }
}

function pageWatch(file: string, command: string, screen: Screen): Watch {
  refuseUnwritable(file)
  const recorder = new Recorder(command)
  return {
    recorder,
    say: (line) => void screen.write(`${line}\n`),
    end: async () => {
      if (!recorder.end()) return
      writeFileSync(file, await pageOf(recorder.run))
      const size = (statSync(file).size / 1e6).toFixed(1)
      screen.write(`${file}: ${size} MB, open it in a browser\n`)
    },
  }
}

function refuseUnwritable(file: string): void {
  if (!file.endsWith('.html')) {
    throw new ChoraleError(
      'usage',
      `--watch ${file}: the page's name must end with .html; without a name it draws in the terminal`,
    )
  }
  const isNew = !existsSync(file)
  try {
    closeSync(openSync(file, 'a'))
    if (isNew) unlinkSync(file)
  } catch (error) {
    throw new ChoraleError('usage', `--watch ${file} cannot be written: ${errorMessage(error)}`, { cause: error })
  }
}
