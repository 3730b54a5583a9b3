/** Options of a measurement: numbers with their bounds, `--json`, and one name at most. Wrong ones end the process. */
import { parseArgs } from 'node:util'

export interface NumberOption {
  readonly default: number
  readonly min: number
  readonly max: number
  /** Also as `64KiB`, `100MiB`, `1GiB`, `200MB`. */
  readonly bytes?: true
}

const UNITS: Readonly<Record<string, number>> = {
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
}

export interface Options<N extends string, F extends string = never, T extends string = never> {
  /** Those that are given or not. */
  readonly flags: Readonly<Record<F, boolean>>
  readonly numbers: Readonly<Record<N, number>>
  /** As they are. */
  readonly texts: Readonly<Record<T, string>>
  readonly json: boolean
  /** `--only NAME`: a part of the measurement. */
  readonly only: string | undefined
}

export function readOptions<N extends string, F extends string = never, T extends string = never>(
  known: Readonly<Record<N, NumberOption>>,
  given: readonly F[] = [],
  usualTexts: Readonly<Record<T, string>> = {} as Record<T, string>,
): Options<N, F, T> {
  const names = Object.keys(known) as N[]
  try {
    const { values } = parseArgs({
      options: {
        ...Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
        ...Object.fromEntries(given.map((name) => [name, { type: 'boolean' as const, default: false }])),
        ...Object.fromEntries(Object.keys(usualTexts).map((name) => [name, { type: 'string' as const }])),
        json: { type: 'boolean', default: false },
        only: { type: 'string' },
      },
    })
    const told = values as Readonly<Record<string, string | boolean | undefined>>
    const numbers = {} as Record<N, number>
    for (const name of names) {
      const { default: usual, min, max, bytes } = known[name]
      const value = told[name] === undefined ? usual : numberOf(String(told[name]), bytes)
      if (!(value >= min && value <= max)) throw new Error(`--${name} is a number from ${min} to ${max}`)
      numbers[name] = value
    }
    const flags = Object.fromEntries(given.map((name) => [name, told[name] === true])) as Record<F, boolean>
    const texts = Object.fromEntries(
      Object.entries<string>(usualTexts).map(([name, usual]) => [name, String(told[name] ?? usual)]),
    ) as Record<T, string>
    return { flags, numbers, texts, json: told.json === true, only: values.only }
  } catch (error) {
    console.error(`bench: ${(error as Error).message.split('\n')[0]}`)
    process.exit(2)
  }
}

function numberOf(text: string, bytes = false): number {
  const [, digits, unit] = (bytes && /^([\d.]+)([KMG]i?B)$/.exec(text)) || [undefined, text, '']
  return Number(digits) * (UNITS[unit ?? ''] ?? 1)
}
