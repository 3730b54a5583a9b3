/**
 * The script that runs in every isolate, made from guest/. The package carries it made, from the versions that it was
 * tested with; in a clone, whose lock file has the same ones, it is made once per process.
 */
import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { ONE_MODULE, withEsbuild } from '../esbuild.ts'

export interface Prelude {
  readonly code: Uint8Array
  /** Sixteen hex digits of its SHA-256: part of the engine that a job runs on. */
  readonly digest: string
}

/** Where `npm run build` puts it. */
const MADE = new URL('prelude.bundle', import.meta.url)

let loaded: Promise<Prelude> | undefined

export function loadPrelude(): Promise<Prelude> {
  loaded ??= load().catch((error: unknown) => {
    loaded = undefined
    throw error
  })
  return loaded
}

async function load(): Promise<Prelude> {
  const code = new Uint8Array(await readFile(MADE).catch(bundlePrelude))
  return { code, digest: hash('sha256', code, 'hex').slice(0, 16) }
}

export async function bundlePrelude(): Promise<Uint8Array> {
  // The same extension as this file's: .ts from the sources, .js from the package.
  const entry = fileURLToPath(new URL(import.meta.url.replace(/prelude\.(\w+)$/, 'guest/prelude.$1')))
  const { outputFiles } = await withEsbuild(({ build }) =>
    build({
      ...ONE_MODULE,
      entryPoints: [entry],
      format: 'iife',
      globalName: '__prelude',
      loader: { '.wasm': 'binary' },
      minifySyntax: true,
    }),
  )
  return outputFiles[0]!.contents
}
