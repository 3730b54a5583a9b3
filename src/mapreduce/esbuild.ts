/** esbuild, whose process ends when nobody uses it any more: its `stop` is for all builds at once. */

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
