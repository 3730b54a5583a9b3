/**
 * All studies, small: `npm run study -- all --quick`, which is to end within three minutes on two cores; here it shares
 * them with other tests.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { STUDIES } from '../../sim/studies/registry.ts'
import { run } from '../../sim/studies/runner/command.ts'

const out = mkdtempSync(join(tmpdir(), 'chorale-studies-'))
afterAll(() => rmSync(out, { recursive: true }))

test('every study can be run, judged, drawn and put on the page', { timeout: 600_000 }, async () => {
  let lines = ''
  let said = ''
  const code = await run(
    ['all', '--quick', '--json', '-q', '--out', out],
    {
      out: (text) => (lines += text),
      err: (text) => (said += text),
      live: false,
      width: () => 80,
      now: () => performance.now(),
      signal: new AbortController().signal,
      version: '0.0.0',
    },
    { url: new URL('../../sim/studies/registry.ts', import.meta.url).href, STUDIES },
  )
  expect({ code, said: said.replace(/^study: without .*\n/gm, '') }).toEqual({ code: 0, said: '' })
  const results = lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const total = results.pop()
  expect(total).toMatchObject({ v: 1, type: 'result', studies: results.length })
  expect(total.reproduced).toBeGreaterThan(0)
  const page = readFileSync(join(out, 'index.html'), 'utf8')
  for (const [name, load] of Object.entries(STUDIES)) {
    const { study } = await load()
    expect(study.name).toBe(name)
    if (study.missing?.() !== undefined) continue
    const result = results.find((each) => each.study === name)
    expect(result?.rows.length, name).toBeGreaterThan(0)
    const section = page.slice(page.indexOf(`<section id="${name}">`))
    expect(section.slice(0, section.indexOf('</section>')), name).toContain('<svg xmlns')
  }
})
