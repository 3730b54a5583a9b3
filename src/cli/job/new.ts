/** `chorale job new`. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { ChoraleError } from '../../core/errors.ts'
import { systemCode } from '../../home-files.ts'
import type { Cli } from '../cli.ts'
import { examples } from '../help.ts'

export function newCommand(cli: Cli): Command {
  return new Command('new')
    .description('write a job to begin with: NAME.ts in this directory')
    .argument('<name>', 'letters, digits and dashes')
    .addHelpText('after', examples('chorale job new birthdays', '', 'chorale job check birthdays.ts', ''))
    .action(cli.action((name: string) => write(cli, name)))
}

async function write(cli: Cli, name: string): Promise<number> {
  if (!/^[a-z][a-z0-9-]{0,63}$/i.test(name)) {
    throw new ChoraleError('usage', `${JSON.stringify(name)} cannot name a job: use letters, digits and dashes`)
  }
  const file = `${name}.ts`
  try {
    await writeFile(join(process.cwd(), file), template(name), { flag: 'wx' })
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw new ChoraleError('usage', `${file} is there already: choose another name`)
    throw new ChoraleError('io', `cannot write ${file}: ${systemCode(error)}`, { cause: error })
  }
  cli.print('job-file', { file }, file)
  cli.note(`  try it   chorale job check ${file}`)
  cli.note(`  run it   chorale job run --local ${file} --seed 42`)
  cli.note(`  share it chorale job submit ${file} --seed 42 --wait`)
  return 0
}

function template(name: string): string {
  return `import { defineJob } from 'chorale/job'

/**
 * Splits into tasks, maps each, and reduces neighbouring results until one is left. It runs where there are no files, no
 * network and no clock, and must give the same result for the same parameters, seed and task, wherever it runs.
 */
export default defineJob({
  name: '${name}',

  // Defaults, which can be set with --param people=30. String, Number or Boolean instead: has to be given.
  params: { people: 23, groups: 200_000 },

  // How many tasks there are. Some hundred, of a tenth of a second or more, keep many nodes busy.
  split: ({ groups }) => Math.ceil(groups / 1000),

  // One task. random() is a stream of its own for each; log(...) of the same context says what a task is doing.
  map(task, { params, random }) {
    let shared = 0
    for (let group = 0; group < 1000; group++) {
      const days = new Set<number>()
      for (let person = 0; person < params.people; person++) days.add(Math.floor(random() * 365))
      if (days.size < params.people) shared++
    }
    return { shared, groups: 1000 }
  },

  // Two neighbouring results as one, left before right. Any neighbours may come together first.
  reduce: (left, right) => ({ shared: left.shared + right.shared, groups: left.groups + right.groups }),

  // What is shown at the end.
  finish: ({ shared, groups }) => ({ probability: shared / groups, groups }),

  // \`chorale job check\` runs these: a whole job each, on this machine.
  tests: {
    'two of 23 people have the same birthday half of the time': {
      params: { people: 23, groups: 20_000 },
      check: ({ probability }) => Math.abs(probability - 0.507) < 0.02,
    },
    'nobody shares a birthday with nobody': { params: { people: 1, groups: 1000 }, check: (value) => value.probability === 0 },
  },
})
`
}
