/** A registry of studies that end at once, for tests of the runner: the threads of its pool load it by its URL. */

import { setTimeout as sleep } from 'node:timers/promises'
import { barY, lineY } from '@observablehq/plot'
import type { Registry } from '../../../../sim/studies/registry.ts'
import { compared, mean } from '../../../../sim/studies/statistics.ts'
import type { Study } from '../../../../sim/studies/study.ts'

interface Toss {
  seed: number
  n: number
}

/** Squares of seeds, in two series; the later the unit, the sooner it ends. */
const squares: Study<Toss, { value: number }> = {
  name: 'squares',
  title: 'squares of seeds & <more>',
  source: 'nowhere, section 0',
  defaultSeeds: (quick) => (quick ? [1, 2] : [1, 2, 3, 4]),
  units: ({ seeds }) => [2, 1].flatMap((n) => seeds.map((seed) => ({ seed, n }))),
  weight: ({ n }) => n,
  async run({ seed, n }) {
    await sleep(30 / seed)
    return { value: n * seed ** 2 }
  },
  report(done) {
    const of = (wanted: number) => done.filter(({ unit }) => unit.n === wanted).map(({ result }) => result.value)
    const points = done.map(({ unit, result }) => ({
      ...unit,
      ...result,
      series: unit.n === 1 ? 'once' : 'twice & <more>',
    }))
    return {
      rows: [
        compared('mean', mean(of(1)), of(1)),
        compared('off, as theory says', 1e6, of(1), { corrected: mean(of(1)), why: 'a misread "column"' }),
        compared('off', -1e6, of(2), { why: 'nobody knows' }),
        compared('own', null, of(2)),
      ],
      tables: [{ name: 'values', columns: ['seed', 'value, or "so"'], rows: points.map((p) => [p.seed, p.value]) }],
      figures: [
        {
          name: 'values',
          title: 'Squares & <more>',
          caption: 'They grow.',
          plot: {
            x: { label: 'seed' },
            y: { label: 'square (1)' },
            marks: [lineY(points, { x: 'seed', y: 'value', stroke: 'series' })],
          },
        },
        { name: 'one', title: 'One series', caption: 'No legend.', plot: { marks: [barY([1, 2], { x: [1, 2] })] } },
      ],
      summary: { largest: Math.max(...of(1)) },
      notes: ['Tossed by hand.'],
    }
  },
}

const empty = { rows: [], tables: [], figures: [] }

/** Throws at seed 3. */
const failing: Study<{ seed: number }, null> = {
  name: 'failing',
  title: 'what fails',
  source: 'nowhere',
  defaultSeeds: () => [1, 2, 3, 4],
  units: ({ seeds }) => seeds.map((seed) => ({ seed })),
  run({ seed }) {
    if (seed === 3) throw new Error('the coin is lost')
    return null
  },
  report: () => empty,
}

/** Does not end. */
const endless: Study<{ seed: number }, null> = {
  ...failing,
  name: 'endless',
  run: () => {
    for (;;);
  },
}

/** Its thread ends. */
const dying: Study<{ seed: number }, null> = { ...failing, name: 'dying', run: () => process.exit(7) }

const absent: Study<{ seed: number }, null> = {
  ...failing,
  name: 'absent',
  missing: () => 'there is no matrix; fetch it',
}

/** Differs, and does not say why. */
const silent: Study<{ seed: number }, null> = {
  ...failing,
  name: 'silent',
  defaultSeeds: () => [1],
  report: () => ({ ...empty, rows: [{ name: 'a', published: 1, ours: 2, ci95: 0, verdict: 'differs' }] }),
}

const all = { squares, failing, endless, dying, absent, silent } as unknown as Record<string, Study>

export const STUDIES: Registry = Object.fromEntries(
  Object.entries(all).map(([name, study]) => [name, async () => ({ study })]),
)
