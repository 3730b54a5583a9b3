/**
 * What a home keeps of lending: `lending.json`, the setting and the measured speed of the machine. Whole or not at all. Amounts
 * are millicredits as decimal strings.
 */
import { join } from 'node:path'
import { Type } from 'typebox'
import { checker } from './core/codec.ts'
import { ChoraleError } from './core/errors.ts'
import { guarded, readText, writeAtomically } from './home-files.ts'
import type { Kept } from './market/lending/lender.ts'
import { bodyOf, changeOf, DEFAULT_SETTING, settingSchema } from './market/lending/setting.ts'
import { speedSchema } from './market/lending/speed.ts'

const Shape = checker(Type.Object({ setting: Type.Unknown(), speed: Type.Optional(Type.Unknown()) }))

function lendingFile(home: string): string {
  return join(home, 'lending.json')
}

/** The default where there is no file. Throws `config` when it is damaged: in silence, more would be lent than was said. */
export function readLending(home: string): Kept {
  const file = lendingFile(home)
  const text = guarded(home, () => readText(file))
  if (text === undefined) return { setting: DEFAULT_SETTING, speed: undefined }
  try {
    const { setting, speed } = Shape.parse(JSON.parse(text))
    return {
      setting: { ...DEFAULT_SETTING, ...changeOf(settingSchema.parse(setting)) },
      speed: speed === undefined ? undefined : speedSchema.parse(speed),
    }
  } catch (error) {
    throw new ChoraleError('config', `${file} is damaged: remove it, and set anew what is lent with chorale lend set`, {
      cause: error,
    })
  }
}

/** The home must be there. */
export function keepLending(home: string, { setting, speed }: Kept): void {
  const text = `${JSON.stringify({ setting: bodyOf(setting), ...(speed && { speed }) })}\n`
  guarded(home, () => writeAtomically(lendingFile(home), text))
}
