/** The jobs that ship with the package. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Where a module's code is; `builtin:` means those that ship with the package. */
export function builtinModule(name: string): string | undefined {
  const builtin = /^builtin:([a-z][a-z0-9-]*)$/.exec(name)
  if (!builtin) return undefined
  // From src/job-modules.ts, or from dist/src/job-modules.js of the package.
  const url = new URL(`../jobs/${builtin[1]}.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url)
  return existsSync(fileURLToPath(url)) ? url.href : undefined
}
