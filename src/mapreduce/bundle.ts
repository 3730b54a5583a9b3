/**
 * Makes one module of a job's file and all that it imports, for the sandbox has nothing to import from. The package's own
 * `chorale/job` comes with it; other packages come from where the file is.
 */
import { readFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Message } from 'esbuild'
import { ChoraleError, errorMessage } from '../core/errors.ts'
import { MAX_CODE_BYTES } from '../core/limits.ts'
import { ONE_MODULE, withEsbuild } from './esbuild.ts'

export interface Bundle {
  readonly code: Uint8Array
  /** Source map, version 3: to tell errors in terms of the user's files. Not of WebAssembly, which is taken as it is. */
  readonly map: string | undefined
}

/** Rejects with `user-code`, and the place, when the file cannot be understood; `limit` when it is too large. */
export async function bundleJob(file: string): Promise<Bundle> {
  if (file.endsWith('.wasm')) return { code: limited(await readFile(file)), map: undefined }
  // The same extension as this file's: .ts from the sources, .js from the package.
  const define = fileURLToPath(new URL(import.meta.url.replace(/bundle\.(\w+)$/, 'define.$1')))
  try {
    const { outputFiles } = await withEsbuild(({ build }) =>
      build({
        ...ONE_MODULE,
        entryPoints: [file],
        outfile: 'job.js',
        format: 'esm',
        alias: { 'chorale/job': define },
        absWorkingDir: dirname(file),
        // Math.pow instead: what the compiler and the runtime make of ** may differ in the last bit.
        supported: { 'exponent-operator': false },
        charset: 'utf8',
        sourcemap: 'external',
      }),
    )
    const code = limited(outputFiles.find(({ path }) => path.endsWith('.js'))!.contents)
    return { code, map: outputFiles.find(({ path }) => path.endsWith('.map'))!.text }
  } catch (error) {
    if (error instanceof ChoraleError) throw error
    const first = (error as { errors?: Message[] }).errors?.[0]
    throw new ChoraleError('user-code', first ? describe(first) : errorMessage(error), { cause: error })
  }
}

function limited(code: Uint8Array): Uint8Array {
  if (code.length <= MAX_CODE_BYTES) return code
  throw new ChoraleError('limit', `the job's code has ${code.length} bytes, the most is ${MAX_CODE_BYTES}`)
}

function describe({ text, location }: Message): string {
  const where = location ? `${location.file}:${location.line}:${location.column + 1}: ` : ''
  const missing = /^Could not resolve "(.*)"/.exec(text)?.[1]
  const hint = missing && isBuiltin(missing) ? ': a job has no files, network, clock or processes' : ''
  return `${where}${text}${hint}`
}
