/** esbuild, whose process ends when nobody uses it any more: its `stop` is for all builds at once. */
import type { BuildOptions } from 'esbuild'

/** One module for no platform at all, of few bytes, and the same from whatever directory. */
export const ONE_MODULE = {
  bundle: true,
  write: false,
  platform: 'neutral',
  mainFields: ['module', 'main'],
  conditions: ['import', 'default'],
  target: 'es2024',
  legalComments: 'none',
  minifyWhitespace: true,
  logLevel: 'silent',
} as const satisfies BuildOptions

let users = 0

export async function withEsbuild<T>(work: (esbuild: typeof import('esbuild')) => Promise<T>): Promise<T> {
  const esbuild = await import('esbuild') // late: a node that runs no foreign code does not need it
  users++
  try {
    return await work(esbuild)
  } finally {
    if (--users === 0) await esbuild.stop()
  }
}
