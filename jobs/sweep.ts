/**
 * A parameter sweep: how much of a population does an epidemic reach, for many reproduction numbers? Each task simulates
 * one of them some times (Reed-Frost: every generation, each susceptible person escapes every infectious one by chance)
 * and gives a row; the value is the table.
 */
import { defineJob } from '../src/mapreduce/define.ts'

/** Rows that fit into a partial. */
const MAX_ROWS = 400

interface Row {
  [name: string]: number
  reproduction: number
  /** Mean share of the population that is infected in the end, of those outbreaks that reached more than a tenth. */
  reached: number
  /** Share of the outbreaks that died out before. */
  diedOut: number
}

export default defineJob({
  name: 'sweep',
  params: { from: 0.5, to: 4, steps: 64, people: 5000, runs: 40 },
  split({ from, to, steps, people, runs }) {
    if (!(from > 0) || !(to > from)) throw new Error(`from must be above 0, and to above from: not ${from} and ${to}`)
    for (const [name, value, most] of [
      ['steps', steps, MAX_ROWS],
      ['people', people, 1e6],
      ['runs', runs, 1e6],
    ] as const) {
      if (!Number.isInteger(value) || value < 2 || value > most)
        throw new Error(`${name} must be a whole number from 2 to ${most}, not ${value}`)
    }
    return steps
  },
  map(task, { params: { from, to, steps, people, runs }, random }): Row[] {
    const reproduction = from + ((to - from) * task) / (steps - 1)
    let large = 0
    let sum = 0
    for (let run = 0; run < runs; run++) {
      const share = outbreak(people, reproduction / people, random)
      if (share <= 0.1) continue
      large++
      sum += share
    }
    return [{ reproduction, reached: large > 0 ? sum / large : 0, diedOut: 1 - large / runs }]
  },
  reduce: (left, right) => [...left, ...right],
  finish: (rows) => rows,
})

/** Share of the people that one outbreak reaches, from one infectious person on. `contact`: chance of infection per pair. */
function outbreak(people: number, contact: number, random: () => number): number {
  let susceptible = people - 1
  let infectious = 1
  while (infectious > 0) {
    const escapes = (1 - contact) ** infectious
    let next = 0
    for (let person = 0; person < susceptible; person++) if (random() > escapes) next++
    susceptible -= next
    infectious = next
  }
  return (people - susceptible) / people
}
