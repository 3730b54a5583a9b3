import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundleJob } from '../../../src/mapreduce/bundle.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'chorale-bundle-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, text)
  return path
}

test('a file and all that it imports become one module', async () => {
  file('lib/square.ts', 'export const square = (x: number): number => x ** 2')
  file('node_modules/half/package.json', '{ "name": "half", "type": "module", "exports": "./half.js" }')
  file('node_modules/half/half.js', 'export const half = (x) => x / 2')
  const path = file(
    'job.ts',
    `import { defineJob } from 'chorale/job'
     import { half } from 'half'
     import { square } from './lib/square.ts'
     export default defineJob({ name: 'a', split: () => 1, map: () => half(square(4)), reduce: (a, b) => a + b })`,
  )
  const { code, map } = await bundleJob(path)
  const text = Buffer.from(code).toString()
  expect(text).not.toMatch(/\bimport\b|\*\*/)
  expect(text).toContain('Math.pow')
  expect(JSON.parse(map!).sources).toContain('job.ts')
  const module = await import(`data:text/javascript;base64,${Buffer.from(code).toString('base64')}`)
  expect(module.default.map(0, {})).toBe(8)
})

test('the same files give the same code', async () => {
  const path = file('same.ts', 'export default 1')
  expect((await bundleJob(path)).code).toEqual((await bundleJob(path)).code)
})

test.each([
  ['syntax.ts', 'export default defineJob({\n  map: (', 'syntax.ts:2:'],
  [
    'missing.ts',
    `import { x } from './nowhere.ts'\nexport default x`,
    'missing.ts:1:19: Could not resolve "./nowhere.ts"',
  ],
  ['files.ts', `import fs from 'node:fs'\nexport default fs`, 'a job has no files, network, clock or processes'],
])('what cannot be understood is told with its place: %s', async (name, text, message) => {
  await expect(bundleJob(file(name, text))).rejects.toMatchObject({
    code: 'user-code',
    message: expect.stringContaining(message),
  })
})

test('code that is too large for a job is refused', async () => {
  const path = file('large.ts', `export default ${JSON.stringify('x'.repeat(2 ** 20))}`)
  await expect(bundleJob(path)).rejects.toMatchObject({ code: 'limit' })
})
