/** What the commands share that take a job's file. */
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { ChoraleError } from '../../core/errors.ts'
import type { Json } from '../../mapreduce/types.ts'
import { inspect } from '../local-files.ts'
import { integer, parameter } from '../values.ts'

export interface OwnJobOptions {
  readonly seed?: number
  readonly input?: string
  readonly param: ReadonlyArray<[string, Json]>
}

export const seed = integer('--seed', { min: 0, max: 2 ** 32 - 1, example: '42' })

export function paramOption(): Option {
  return new Option('--param <name=value>', 'a parameter of the job; may be given several times')
    .argParser((text: string, before: Array<[string, Json]> = []) => [...before, parameter(text)])
    .default([], 'those of the job')
}

export function ownJobOptions(command: Command): Command {
  return command
    .option('--seed <n>', 'all randomness of the job derives from it (default: a random one)', seed)
    .addOption(paramOption())
}

export interface ModuleOptions extends OwnJobOptions {
  readonly samples?: number
}

export const samples = integer('--samples', { min: 1, max: 1e15, example: '1e9' })

/** For what takes a job's file or `builtin:NAME`. */
export function moduleOptions(command: Command): Command {
  const module = 'builtin:NAME (pi, search, sweep, wordcount, sort, kmeans), or a file of your own (.ts, .js, .wasm)'
  const withModule = command.argument('<module>', module)
  return ownJobOptions(withModule.option('--samples <n>', 'short for --param samples=N', samples)).option(
    '--input <cid>',
    'a file in the store, for a job that works on one: chorale add FILE prints its CID',
  )
}

/** Throws `usage`. */
export function paramsOf(module: string, options: ModuleOptions): Record<string, Json> {
  const params: Record<string, Json> = Object.fromEntries(options.param)
  if (options.samples !== undefined) params.samples = options.samples
  if (module === 'builtin:pi' && params.samples === undefined) {
    throw new ChoraleError('usage', '--samples is missing: try --samples 1e9')
  }
  return params
}

/** The CID of what a keyed job has made, as its value tells it. */
export function outputOf(value: Json | undefined): string | undefined {
  const output = typeof value === 'object' && value !== null && !Array.isArray(value) ? value.output : undefined
  return typeof output === 'string' ? output : undefined
}

/** Of jobs that run on this machine alone. Throws `usage` or `io` unless it is a file that can be read. */
export async function localInput(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  const source = await inspect(path)
  if (source.directory) throw new ChoraleError('usage', `${path} is a directory: --input needs a file`)
  return resolve(path)
}

/** Throws `usage` or `io` unless there is such a file. */
export async function jobFile(path: string): Promise<void> {
  const source = await inspect(path)
  if (source.directory) throw new ChoraleError('usage', `${path} is a directory: name the job's file`)
}
