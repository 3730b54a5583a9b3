/** Compiles what the package carries (src, jobs) into a fresh dist. Also runs before `npm pack`. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
rmSync(`${root}/dist`, { recursive: true, force: true })
const { status } = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
if (status === 0) {
  const inside = 'src/mapreduce/sandbox'
  const folder = `${root}/dist/${inside}`
  copyFileSync(`${root}/${inside}/guest/math.wasm`, `${folder}/guest/math.wasm`)
  const { bundlePrelude } = (await import(`${folder}/prelude.js`)) as { bundlePrelude(): Promise<Uint8Array> }
  writeFileSync(`${folder}/prelude.bundle`, await bundlePrelude())
}
process.exitCode = status ?? 1
