/** Options of a measurement: numbers with their bounds, `--json`, and one name at most. Wrong ones end the process. */
import { parseArgs } from 'node:util'

export interface NumberOption {
  readonly default: number
  readonly min: number
  readonly max: number
}

export interface Options<N extends string> {
  readonly numbers: Readonly<Record<N, number>>
  readonly json: boolean
  /** `--only NAME`: a part of the measurement. */
  readonly only: string | undefined
}

export function readOptions<N extends string>(known: Readonly<Record<N, NumberOption>>): Options<N> {
  const names = Object.keys(known) as N[]
  try {
    const { values } = parseArgs({
      options: {
        ...Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
        json: { type: 'boolean', default: false },
        only: { type: 'string' },
      },
    })
    const given = values as Readonly<Record<string, string | boolean | undefined>>
    const numbers = {} as Record<N, number>
    for (const name of names) {
      const { default: usual, min, max } = known[name]
      const value = given[name] === undefined ? usual : Number(given[name])
      if (!(value >= min && value <= max)) throw new Error(`--${name} is a number from ${min} to ${max}`)
      numbers[name] = value
    }
    return { numbers, json: given.json === true, only: values.only }
  } catch (error) {
    console.error(`bench: ${(error as Error).message.split('\n')[0]}`)
    process.exit(2)
  }
}
