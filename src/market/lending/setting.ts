/**
 * What a host's user lends, and when: as it is set, kept and sent. Pure. It says what may be lent at most; whether it is
 * lent at this moment is decided in decision.ts.
 */
import { Type } from 'typebox'
import { type Checker, checker } from '../../core/codec.ts'
import { ChoraleError } from '../../core/errors.ts'
import { TASK_MEMORY_BYTES } from '../../core/limits.ts'
import { type Amount, amount, MAX_AMOUNT } from '../ledger/state/amount.ts'
import { formatHours, type Hours, parseHours } from './hours.ts'

export type When = 'always' | 'idle' | Hours
/** The least wall around the code of others: the operating system's, or that of a process too (SANDBOX: Levels). */
export type LendLevel = 'os' | 'process'

export interface LendSetting {
  /** Null: all that the machine has; on an open network none, until it is asked for. */
  readonly cores: number | null
  /** What the processes of foreign code may have together; null: what those of `cores` may have. */
  readonly memoryBytes: number | null
  /** What the store may keep; null: the usual. */
  readonly storeBytes: number | null
  readonly when: When
  /** Millicredits for an hour of one core, the least that is asked for; auto: what the market pays. */
  readonly minPrice: Amount | 'auto'
  readonly level: LendLevel
  readonly paused: boolean
}

export const DEFAULT_SETTING: LendSetting = {
  cores: null,
  memoryBytes: null,
  storeBytes: null,
  when: 'always',
  minPrice: 'auto',
  level: 'process',
  paused: false,
}

/** What is to be different. */
export type LendChange = Partial<LendSetting>

/** What there is to lend. */
export interface MachineSize {
  readonly cores: number
  readonly memoryBytes: number
}

/** As JSON: `when` is `always`, `idle` or hours as `22:00-06:00`, `minPrice` `auto` or millicredits. */
export interface SettingBody {
  readonly cores?: number | null
  readonly memoryBytes?: number | null
  readonly storeBytes?: number | null
  readonly when?: string
  readonly minPrice?: string
  readonly level?: LendLevel
  readonly paused?: boolean
}

const Size = Type.Optional(Type.Union([Type.Null(), Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })]))

/** Its `parse` throws `bad-message`. */
export const settingSchema: Checker<SettingBody> = checker(
  Type.Object(
    {
      cores: Size,
      memoryBytes: Size,
      storeBytes: Size,
      when: Type.Optional(Type.String({ maxLength: 16 })),
      minPrice: Type.Optional(Type.String({ maxLength: 20 })),
      level: Type.Optional(Type.Union([Type.Literal('os'), Type.Literal('process')])),
      paused: Type.Optional(Type.Boolean()),
    },
    { additionalProperties: false },
  ),
)

/** Throws `usage`. */
export function changeOf({ when, minPrice, ...rest }: SettingBody): LendChange {
  return {
    ...rest,
    ...(when !== undefined && { when: parseWhen(when) }),
    ...(minPrice !== undefined && { minPrice: minPrice === 'auto' ? minPrice : priceOf(minPrice) }),
  }
}

export function bodyOf({ when, minPrice, ...rest }: LendChange): SettingBody {
  return {
    ...rest,
    ...(when !== undefined && { when: formatWhen(when) }),
    ...(minPrice !== undefined && { minPrice: `${minPrice}` }),
  }
}

/** Throws `usage`. */
export function parseWhen(text: string, name = 'when'): When {
  if (text === 'always' || text === 'idle') return text
  const hours = parseHours(text)
  if (hours) return hours
  throw new ChoraleError(
    'usage',
    `${name} must be always, idle, or hours of the day as 22:00-06:00, not '${text}': try ${name} 22:00-06:00`,
  )
}

export function formatWhen(when: When): string {
  return typeof when === 'string' ? when : formatHours(when)
}

function priceOf(text: string): Amount {
  const millicredits = /^\d{1,19}$/.test(text) ? BigInt(text) : -1n
  if (millicredits >= 0n && millicredits <= MAX_AMOUNT) return amount(millicredits)
  throw new ChoraleError('usage', `a least price must be auto or millicredits, not '${text}'`)
}

/** Throws `usage` when the machine has not what is to be lent, or no task fits into it. */
export function requireFitting({ cores, memoryBytes }: LendChange, machine: MachineSize): void {
  const bad = (what: string, remedy: string) => new ChoraleError('usage', `${what}: try ${remedy}`)
  if (cores != null && cores > machine.cores) {
    throw bad(`--cpu ${cores}: this machine has ${machine.cores} cores`, `--cpu ${machine.cores}`)
  }
  if (memoryBytes == null) return
  const asked = `${mib(memoryBytes)} of memory`
  if (memoryBytes > machine.memoryBytes) {
    throw bad(`${asked}: this machine has ${mib(machine.memoryBytes)}`, '--memory auto')
  }
  if (memoryBytes >= TASK_MEMORY_BYTES) return
  const least = mib(TASK_MEMORY_BYTES)
  throw bad(`${asked}: one task may need ${least}`, `--memory ${least}, or --cpu 0 to lend nothing`)
}

function mib(bytes: number): string {
  return `${Math.floor(bytes / 2 ** 20)}MiB`
}

/** Tasks that may be at work at once when it lends. */
export function slotsOf({ cores, memoryBytes }: LendSetting, machine: MachineSize, isOpen: boolean): number {
  const wanted = Math.min(cores ?? (isOpen ? 0 : machine.cores), machine.cores) // kept from a larger machine, perhaps
  return memoryBytes === null ? wanted : Math.min(wanted, Math.floor(memoryBytes / TASK_MEMORY_BYTES))
}
