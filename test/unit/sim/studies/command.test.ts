/** The command of the studies with the tiny ones of `tiny.ts`, in threads, as `main.ts` runs it. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { Registry } from '../../../../sim/studies/registry.ts'
import { run } from '../../../../sim/studies/runner/command.ts'
import { ChoraleError } from '../../../../src/core/errors.ts'
import { STUDIES } from './tiny.ts'

const root = mkdtempSync(join(tmpdir(), 'chorale-study-'))
afterAll(() => rmSync(root, { recursive: true }))

let directories = 0
const fresh = () => join(root, String(++directories))

async function study(
  args: string,
  { names = Object.keys(STUDIES), live = false, signal = new AbortController().signal } = {},
) {
  let out = ''
  let err = ''
  const chosen: Registry = Object.fromEntries(names.map((name) => [name, STUDIES[name]!]))
  const code = await run(
    args.split(' ').filter((arg) => arg !== ''),
    {
      out: (text) => (out += text),
      err: (text) => (err += text),
      live,
      width: () => 80,
      now: () => performance.now(),
      signal,
      version: '1.2.3',
    },
    { url: new URL('./tiny.ts', import.meta.url).href, STUDIES: chosen },
  )
  return { code, out, err, lines: out.trim().split('\n') }
}

test('a table with verdicts on stdout', async () => {
  const { code, out, err } = await study('squares -q')
  expect(code).toBe(0)
  expect(err).toBe('')
  expect(out).toBe(`squares: squares of seeds & <more>
npm run study -- squares --seeds 1..4

                     published      ours  verdict
mean                       7.5   8 +- 10  reproduced
off, as theory says    1000000   8 +- 10  corrected
    a misread "column"
off                   -1000000  15 +- 21  differs
    nobody knows
own                          -  15 +- 21  -

Tossed by hand.
1 reproduced, 1 corrected, 1 differ

`)
})

test('JSON: the rows on the last line, with the seeds that were asked for', async () => {
  const { code, lines } = await study('squares --json -q --seeds 3,5')
  expect(code).toBe(0)
  const last = JSON.parse(lines.at(-1)!)
  expect(last).toMatchObject({ v: 1, type: 'result', study: 'squares', differs: 1, largest: 25 })
  expect(last.rows[0]).toEqual({
    name: 'mean',
    published: 17,
    ours: 17,
    ci95: expect.closeTo(8 * 12.7062, 1),
    verdict: 'reproduced',
  })
})

test('files: CSV, and figures that need nothing else', async () => {
  const out = fresh()
  expect((await study(`squares -q --out ${out}`)).code).toBe(0)
  expect(readdirSync(join(out, 'squares')).sort()).toEqual(['one.svg', 'rows.csv', 'values.csv', 'values.svg'])
  // Units end in another order than they begin in.
  expect(readFileSync(join(out, 'squares/values.csv'), 'utf8')).toBe(
    'seed,"value, or ""so"""\n1,2\n2,8\n3,18\n4,32\n1,1\n2,4\n3,9\n4,16\n',
  )
  expect(readFileSync(join(out, 'squares/rows.csv'), 'utf8')).toContain(
    '\n"off, as theory says",1000000,7.5,10.43436011583245,corrected,"a misread ""column"""\n',
  )
  const svg = readFileSync(join(out, 'squares/values.svg'), 'utf8')
  expect(svg).toMatch(/^<\?xml version="1.0" encoding="UTF-8"\?>\n<svg xmlns="[^"]+" width="760" height="478"/)
  expect(svg).toContain('<rect width="760" height="478" fill="#ffffff"/>')
  for (const text of ['Squares &amp; &lt;more&gt;', 'once', 'twice &amp; &lt;more&gt;', '↑ square (1)', 'seed →']) {
    expect(svg).toContain(`>${text}</text>`)
  }
  expect(svg).not.toMatch(/<(script|style|foreignObject|div|span|figure)\b|href/)
  expectWellFormed(svg)
  expect(readFileSync(join(out, 'squares/one.svg'), 'utf8')).toContain('height="454"') // no row for a legend
})

test('all: one page with every figure, the same twice', async () => {
  const pages = []
  for (const out of [fresh(), fresh()]) {
    const { code, lines, err } = await study(`all --quick --json --out ${out}`, { names: ['squares', 'absent'] })
    expect(code).toBe(0)
    expect(err).toContain('study: without absent: there is no matrix; fetch it\n')
    expect(JSON.parse(lines[0]!)).toMatchObject({ type: 'study', study: 'squares', differs: 1 })
    const total = { v: 1, type: 'result', studies: 1, reproduced: 1, corrected: 1, differs: 1 }
    expect(JSON.parse(lines.at(-1)!)).toEqual(total)
    pages.push(readFileSync(join(out, 'index.html'), 'utf8'))
  }
  const [page] = pages as [string, string]
  expect(pages[1]).toBe(page)
  for (const text of [
    'Chorale 1.2.3',
    'npm run study -- squares --seeds 1,2 --quick',
    'squares of seeds &amp; &lt;more&gt;',
    'They grow.',
    'nowhere, section 0',
    'a misread &quot;column&quot;',
    '<a href="#squares">',
    '<a href="squares/values.csv">',
    'there is no matrix; fetch it',
    'Tossed by hand.',
  ]) {
    expect(page).toContain(text)
  }
  expect(page.match(/<svg xmlns/g)).toHaveLength(2)
  expect(page).not.toMatch(/<script|<link|src=|https?:\/\/(?!www\.w3\.org\/2000\/svg)/)
})

test('a unit that throws or whose thread ends names study, unit and seed', async () => {
  expect(await study('failing -q')).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringMatching(/^study: study failing, unit {"seed":3}, seed 3: Error: the coin is lost\n/),
  })
  expect(await study('dying -q --seeds 8')).toMatchObject({
    code: 1,
    err: 'study: study dying, unit {"seed":8}, seed 8: its thread ended with exit code 7\n',
  })
})

test('a report that is not what it should be is our error', async () => {
  expect(await study('silent -q')).toMatchObject({ code: 1, err: 'study: study silent: a: differs, and no word why\n' })
})

test('an interrupted run stops its threads and leaves no file', async () => {
  const out = fresh()
  const interrupt = new AbortController()
  const running = study(`endless --out ${out}`, { signal: interrupt.signal })
  const reason = new ChoraleError('interrupted', 'stopped by SIGINT')
  setTimeout(() => interrupt.abort(reason), 300)
  expect(await running).toMatchObject({ code: 130, out: '' })
  expect(readdirSync(out)).toEqual([])
})

test.each([
  ['nono', 'there is no study "nono"; there are squares, failing'],
  ['squares --seeds one', '--seeds one: say a number, or a range such as 1..20'],
  ['squares --seeds 9..3', '--seeds 9..3: the range 9..3 is empty; did you mean 3..9?'],
  ['squares --seeds 1..1000000', '--seeds 1..1000000: at most 10000 seeds'],
  ['squares --seeds 4294967297', '--seeds 4294967297: a seed is a whole number from 0 to 4294967296'],
  ['absent', 'absent cannot be run here: there is no matrix; fetch it'],
  ['all', 'all makes a page: say where with --out DIR'],
  ['squares --out FILE', 'is a file; name a directory'],
  ['squares --out FILE/below', 'a file stands in the way; name another directory'],
  ['squares --sedds 1', "unknown option '--sedds'"],
  ['squares squares', 'too many arguments'],
])('bad input: %s', async (args, said) => {
  const file = join(root, 'file')
  if (!existsSync(file)) writeFileSync(file, '')
  const { code, out, err } = await study(args.replace('FILE', file))
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toContain(said)
})

test('the help lists the studies', async () => {
  const { code, out } = await study('--help')
  expect(code).toBe(0)
  expect(out).toMatch(/squares +squares of seeds & <more> \(nowhere, section 0\)/)
  expect((await study('')).out).toBe(out)
})

test('on a terminal progress is one line that goes away', async () => {
  const { err } = await study('squares', { live: true })
  expect(err).not.toContain('\n')
  expect(err).toMatch(/squares \[#+\.+\] \d+ %, \d of 8 units, 0:0\d, about/)
  expect(err.endsWith('\r\x1b[K')).toBe(true)
})

/** Tags that close what they open; there is no parser of XML in the house. */
function expectWellFormed(xml: string): void {
  const open: string[] = []
  for (const [, closing, name, attributes, empty] of xml.matchAll(
    /<(\/?)([\w:]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g,
  )) {
    expect(attributes).toBeDefined()
    if (closing) expect(open.pop()).toBe(name)
    else if (!empty) open.push(name!)
  }
  expect(open).toEqual([])
  expect(xml.replace(/<[^<>]*>/g, '')).not.toMatch(/[<>]|&(?!amp;|lt;|gt;|quot;|#)/)
}
