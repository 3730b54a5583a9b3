/**
 * Settings from a file: a flag wins over `CHORALE_*`, that over `config.json`, that over the default (DESIGN 11). Its
 * keys are the long flags that have such a variable, and their values what a user would type.
 */
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Command, Option } from 'commander'
import { ChoraleError, errorMessage } from '../core/errors.ts'
import { readText } from '../home-files.ts'

type Variables = Readonly<Record<string, string | undefined>>

/** Global flags that name a path; in the file it starts from the file's directory. */
const PATHS = ['home', 'api'] as const

/** Where the platform keeps settings of applications. */
export function configFile(variables: Variables, platform = process.platform, user = homedir()): string {
  const under = (...base: string[]) => join(...base, 'chorale', 'config.json')
  if (variables.XDG_CONFIG_HOME) return under(variables.XDG_CONFIG_HOME)
  if (platform === 'darwin') return under(user, 'Library', 'Preferences')
  if (platform === 'win32') return under(variables.APPDATA || join(user, 'AppData', 'Roaming'))
  return under(user, '.config')
}

/**
 * Reads and checks the whole file, then fills in what `command` was not told otherwise. Returns the global flags in it.
 * Throws `config` with a line that names file and key.
 */
export function applyConfig(program: Command, command: Command, variables: Variables): Record<string, string> {
  const file = configFile(variables)
  const paths: Record<string, string> = {}
  const options = configurable(program)
  for (const [key, value] of Object.entries(readObject(file))) {
    const bad = (why: string) => new ChoraleError('config', `${file}: "${key}": ${why}`)
    const option = options.get(key)
    const path = PATHS.find((name) => name === key)
    if (path) {
      if (typeof value !== 'string' || value === '') throw bad('must be a path')
      if (!variables[`CHORALE_${path.toUpperCase()}`]) paths[path] = resolve(dirname(file), value)
    } else if (option) {
      const parsed = parse(option, value, bad)
      const name = option.attributeName()
      const told = (command.getOptionValueSource(name) ?? 'default') !== 'default'
      if (!told && command.options.includes(option)) command.setOptionValueWithSource(name, parsed, 'config')
    } else throw bad(`unknown key; there are ${[...options.keys(), ...PATHS].sort().join(', ')}`)
  }
  return paths
}

function configurable(command: Command): Map<string, Option> {
  const own = command.options.filter(({ envVar }) => envVar).map((option) => [option.name(), option] as const)
  return new Map([...own, ...command.commands.flatMap((child) => [...configurable(child)])])
}

function readObject(file: string): object {
  let value: unknown
  try {
    value = JSON.parse(readText(file) ?? '{}')
  } catch (error) {
    throw new ChoraleError('config', `${file} cannot be read: ${errorMessage(error)}`, { cause: error })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new ChoraleError('config', `${file} must hold one JSON object, as {"lend": 2}`)
}

function parse(option: Option, value: unknown, bad: (why: string) => ChoraleError): unknown {
  let parsed: unknown
  for (const each of option.variadic && Array.isArray(value) ? (value as unknown[]) : [value]) {
    const fits = ['string', 'number', ...(option.optional ? ['boolean'] : [])].includes(typeof each)
    if (!fits) throw bad(`must be text or a number, as for ${option.long}`)
    try {
      parsed = option.parseArg?.(String(each), parsed)
    } catch (error) {
      throw bad(errorMessage(error))
    }
  }
  return parsed
}
