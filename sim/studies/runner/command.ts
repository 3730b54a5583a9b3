/** The command line of the studies: which, with what seeds, where to; and the way from units to a page. */
import { Command, type CommanderError } from 'commander'
import { ChoraleError, errorMessage } from '../../../src/core/errors.ts'
import type { Registry } from '../registry.ts'
import type { Done, Report, Study } from '../study.ts'
import { csv, prepareDirectory, writeOutput } from './files.ts'
import type { Page, PageStudy } from './page.ts'
import { runUnits, type Work } from './pool.ts'
import { duration, Progress } from './progress.ts'
import { checkReport, countVerdicts, formatRows, ROWS_FILE } from './rows.ts'
import { formatSeeds, parseSeeds } from './seeds.ts'

/** The process around it. */
export interface Terminal {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** Can progress be drawn over? */
  readonly live: boolean
  readonly width: () => number
  readonly now: () => number
  readonly signal: AbortSignal
  /** Of Chorale. */
  readonly version: string
}

/** URL of a module that exports `STUDIES`, and what it exports. */
export interface Studies {
  readonly url: string
  readonly STUDIES: Registry
}

interface Flags {
  readonly seeds?: number[]
  readonly out?: string
  readonly quick?: boolean
  readonly json?: boolean
  readonly quiet?: boolean
}

const ALL = 'all'

/** Runs one command line and returns the exit code. Never throws. */
export async function run(args: readonly string[], terminal: Terminal, studies: Studies): Promise<number> {
  const program = new Command('npm run study --')
    .description('Run a published table or figure again in the simulator, and judge what was published.')
    .argument('<study>', `one of ${Object.keys(studies.STUDIES).join(', ')}; or ${ALL}`)
    .option(
      '--seeds <seeds>',
      'all randomness derives from them: 7, 1..20, or 1..3,8; a verdict needs two (default: the study knows)',
      parseSeeds,
    )
    .option('--out <dir>', `figures (SVG) and tables (CSV) into DIR/STUDY; with ${ALL} also the page DIR/index.html`)
    .option('--quick', `fewer and smaller: all of them within three minutes`)
    .option('--json', 'one JSON object per line on stdout')
    .option('-q, --quiet', 'no progress')
    .exitOverride()
    .showHelpAfterError('(--help shows what there is)')
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .action((name: string, flags: Flags) => new Run(name, flags, terminal, studies).run())
  try {
    if (args.length === 0 || args.some((arg) => arg === '--help' || arg === '-h')) {
      program.addHelpText('after', await listStudies(studies.STUDIES))
    }
    await program.parseAsync(args.length > 0 ? args : ['--help'], { from: 'user' })
    return 0
  } catch (error) {
    const { code, exitCode } = error as Partial<CommanderError>
    if (code?.startsWith('commander.')) return exitCode === 0 ? 0 : 2
    if (terminal.signal.aborted) {
      terminal.err('study: stopped; studies that had ended are written down, the others are not\n')
      return 130
    }
    terminal.err(`study: ${error instanceof ChoraleError ? error.message : ((error as Error).stack ?? error)}\n`)
    return error instanceof ChoraleError && error.code === 'usage' ? 2 : 1
  }
}

async function listStudies(studies: Registry): Promise<string> {
  const lines = ['', 'Studies:']
  for (const [name, load] of Object.entries(studies)) {
    const { study } = await load()
    lines.push(`  ${name.padEnd(14)}${study.title} (${study.source})`)
  }
  lines.push('', 'Examples:', `  npm run study -- ${Object.keys(studies)[0] ?? ALL} --seeds 1..20 --out study`)
  lines.push(`  npm run study -- ${ALL} --quick --out study`)
  return lines.join('\n')
}

interface Planned {
  readonly study: Study
  readonly seeds: readonly number[]
  readonly units: readonly unknown[]
  readonly results: unknown[]
  ended: number
  weightDone: number
  readonly weight: number
}

class Run {
  readonly #name: string
  readonly #flags: Flags
  readonly #terminal: Terminal
  readonly #studies: Studies

  constructor(name: string, flags: Flags, terminal: Terminal, studies: Studies) {
    this.#name = name
    this.#flags = flags
    this.#terminal = terminal
    this.#studies = studies
  }

  async run(): Promise<void> {
    const { out } = this.#flags
    const startedAtMs = this.#terminal.now()
    if (out === undefined && this.#name === ALL) {
      throw new ChoraleError('usage', `${ALL} makes a page: say where with --out DIR`)
    }
    const { plans, missing } = await this.#plan()
    if (out !== undefined) prepareDirectory(out)
    const studies = await this.#runUnits(plans)
    for (const study of studies) this.#tell(study)
    if (this.#name !== ALL) return
    await this.#finish({ version: this.#terminal.version, command: this.#command(ALL), studies, missing })
    if (!this.#flags.quiet) this.#terminal.err(`${out}/index.html, ${duration(this.#terminal.now() - startedAtMs)}\n`)
  }

  async #plan(): Promise<{ plans: Planned[]; missing: Page['missing'] }> {
    const { STUDIES } = this.#studies
    const names = Object.keys(STUDIES)
    if (this.#name !== ALL && !Object.hasOwn(STUDIES, this.#name)) {
      throw new ChoraleError('usage', `there is no study "${this.#name}"; there are ${names.join(', ')}, and ${ALL}`)
    }
    const plans: Planned[] = []
    const missing: { name: string; why: string }[] = []
    for (const name of this.#name === ALL ? names : [this.#name]) {
      const { study } = await STUDIES[name]!()
      const why = study.missing?.()
      if (why === undefined) plans.push(this.#planned(study))
      else if (this.#name !== ALL) throw new ChoraleError('usage', `${name} cannot be run here: ${why}`)
      else {
        missing.push({ name, why })
        this.#terminal.err(`study: without ${name}: ${why}\n`)
      }
    }
    return { plans, missing }
  }

  #planned(study: Study): Planned {
    const quick = this.#flags.quick === true
    const seeds = this.#flags.seeds ?? study.defaultSeeds(quick)
    const units = study.units({ seeds, quick })
    const weight = units.reduce((sum: number, unit) => sum + (study.weight?.(unit) ?? 1), 0)
    return { study, seeds, units, results: [], ended: 0, weightDone: 0, weight }
  }

  /** Each study is written down as soon as its units have ended. */
  async #runUnits(plans: readonly Planned[]): Promise<PageStudy[]> {
    const { err, live, width, now, signal } = this.#terminal
    const progress = this.#flags.quiet ? undefined : new Progress({ write: err, live, width, now })
    const all = plans.flatMap((plan) => plan.units.map((unit, index) => ({ plan, unit, index })))
    // The longest unit of each study first, so that none is left to one core at the end.
    const places = [...all.filter(({ index }) => index === 0), ...all.filter(({ index }) => index > 0)]
    const works: Work[] = places.map(({ plan, unit }) => ({ study: plan.study.name, unit }))
    const show = () => {
      // Each study counts the same: their weights are not in one unit.
      const share = plans.reduce((sum, { weightDone, weight }) => sum + weightDone / weight, 0) / plans.length
      const running = plans.find(({ ended, units }) => ended < units.length) ?? plans.at(-1)
      const label = running?.study.name ?? this.#name
      const detail = `${running?.ended} of ${running?.units.length} units`
      progress?.update({ label, share, detail, even: plans.length === 1 })
    }
    const reports = new Map<Planned, Promise<PageStudy>>()
    try {
      show()
      await runUnits(works, { registry: this.#studies.url, signal }, (place, result) => {
        const { plan, unit, index } = places[place]!
        plan.results[index] = result
        plan.ended++
        plan.weightDone += plan.study.weight?.(unit) ?? 1
        show()
        if (plan.ended < plan.units.length) return
        const report = this.#report(plan)
        report.catch(() => {}) // it is awaited below, with those of the others
        reports.set(plan, report)
      })
      return await Promise.all(plans.map((plan) => reports.get(plan) ?? this.#report(plan)))
    } finally {
      progress?.end()
      await Promise.allSettled(reports.values())
    }
  }

  /** Judges what was found and writes it down. */
  async #report({ study, seeds, units, results }: Planned): Promise<PageStudy> {
    const { name, title, source } = study
    const done: Done<unknown, unknown>[] = units.map((unit, index) => ({ unit, result: results[index] }))
    const report = study.report(done, { seeds, quick: this.#flags.quick === true })
    checkReport(name, report)
    const command = this.#command(name, seeds)
    const drawings = this.#flags.out === undefined ? [] : await this.#write(this.#flags.out, name, report)
    return { name, title, source, command, report, drawings }
  }

  /** Gives the figures. */
  async #write(out: string, study: string, report: Report): Promise<string[]> {
    const { Drawing } = await import('./figure.ts') // a browser's document takes half a second to load
    await using drawing = new Drawing()
    const drawings = report.figures.map((figure) => {
      try {
        return drawing.svg(figure)
      } catch (error) {
        const what = `study ${study}: figure ${figure.name} cannot be drawn: ${errorMessage(error)}`
        throw new ChoraleError('internal', what, { cause: error })
      }
    })
    this.#terminal.signal.throwIfAborted()
    const columns = ['name', 'published', 'ours', 'ci95', 'verdict', 'why']
    const rows = report.rows.map((row) => [
      row.name,
      row.published,
      row.ours,
      row.ci95,
      row.verdict ?? '',
      row.why ?? '',
    ])
    writeOutput(out, [study, `${ROWS_FILE}.csv`], csv({ columns, rows }))
    for (const table of report.tables) writeOutput(out, [study, `${table.name}.csv`], csv(table))
    report.figures.forEach(({ name }, i) => {
      writeOutput(out, [study, `${name}.svg`], `<?xml version="1.0" encoding="UTF-8"?>\n${drawings[i]}\n`)
    })
    return drawings
  }

  #tell({ name, title, command, report: { rows, summary, notes = [] } }: PageStudy): void {
    const { out } = this.#terminal
    if (this.#flags.json) {
      const type = this.#name === ALL ? 'study' : 'result'
      const { differs } = countVerdicts(rows)
      out(`${JSON.stringify({ v: 1, type, study: name, rows, differs, ...summary })}\n`)
      return
    }
    const { reproduced, corrected, differs } = countVerdicts(rows)
    const counts = `${reproduced} reproduced, ${corrected} corrected, ${differs} differ`
    out(
      `${name}: ${title}\n${command}\n\n${formatRows(rows)}\n${notes.map((note) => `${note}\n`).join('')}${counts}\n\n`,
    )
  }

  async #finish(page: Page): Promise<void> {
    const { renderPage } = await import('./page.ts')
    this.#terminal.signal.throwIfAborted()
    writeOutput(this.#flags.out!, ['index.html'], renderPage(page))
    const { reproduced, corrected, differs } = countVerdicts(page.studies.flatMap(({ report }) => report.rows))
    const studies = page.studies.length
    if (this.#flags.json) {
      this.#terminal.out(`${JSON.stringify({ v: 1, type: 'result', studies, reproduced, corrected, differs })}\n`)
    } else {
      const counts = `${reproduced} reproduced, ${corrected} corrected, ${differs} differ`
      this.#terminal.out(`${studies} studies: ${counts}\n`)
    }
  }

  /** What makes the same again. */
  #command(name: string, seeds: readonly number[] | undefined = this.#flags.seeds): string {
    const parts = ['npm run study --', name]
    if (seeds) parts.push(`--seeds ${formatSeeds(seeds)}`)
    if (this.#flags.quick) parts.push('--quick')
    return parts.join(' ')
  }
}
