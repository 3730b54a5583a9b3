/** A run as one HTML page that needs nothing else: no server, no network (`page/`). */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Run } from './run.ts'

const here = (name: string) => fileURLToPath(new URL(`page/${name}`, import.meta.url))

/** The whole page. Nothing in the run can end the script that it is embedded in. */
export async function pageOf(run: Run): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [here('main.ts')],
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    target: 'es2022',
    tsconfigRaw: {},
  })
  const data = JSON.stringify(run).replaceAll('<', '\\u003c')
  const code = outputFiles[0]!.text.replaceAll('</script', '<\\/script')
  const scripts = `<script id="run" type="application/json">${data}</script>\n<script>${code}</script>\n`
  const title = run.command.replace(/[<>&]/g, ' ')
  // By position: what `replace` inserts has signs of its own.
  const [head = '', rest = ''] = readFileSync(here('page.html'), 'utf8').split('<title>Chorale</title>')
  const [body = '', end = ''] = rest.split('</body>')
  return `${head}<title>${title}</title>${body}${scripts}</body>${end}`
}
