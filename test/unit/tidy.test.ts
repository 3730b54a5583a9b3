import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type Manifest, packageViolations, type SourceFile, violations } from './tidy.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const MADE_BY_TOOLS = new Set(['node_modules', 'dist', '.git', '.test-report', 'coverage'])
const TEXT = /\.(ts|js|json|md|html|css|ya?ml|sh|tsv|npmrc)$|\/run$|^LICENSE$/

function filesUnder(folder: string): SourceFile[] {
  return readdirSync(root + folder, { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}${entry.name}`
    if (entry.isDirectory()) return MADE_BY_TOOLS.has(entry.name) ? [] : filesUnder(`${path}/`)
    return TEXT.test(path) ? [{ path, text: readFileSync(root + path, 'utf8') }] : []
  })
}

const files = filesUnder('')
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as Manifest

test('the repository keeps its rules', () => {
  expect(files.length).toBeGreaterThan(20)
  expect(files.flatMap((file) => violations(file))).toEqual([])
})

test('packages are pinned, declared and used', () => {
  expect(packageViolations(files, manifest)).toEqual([])
})

/** A file that breaks one rule; the opening comment keeps the other rules quiet. */
const planted = (path: string, code: string) => violations({ path, text: `/** Planted. */\n${code}\n` })

test.each([
  ['core imports nothing of ours', 'src/core/a.ts', `import '../net/contact.ts'`],
  ['net does not know dht', 'src/net/a.ts', `import { x } from '../dht/overlay.ts'`],
  ['a type counts', 'src/dht/a.ts', `import type { Jobs } from '../mapreduce/types.ts'`],
  ['a type in passing counts', 'src/dht/a.ts', `export type J = import('../mapreduce/types.ts').Jobs`],
  ['a re-export counts', 'src/dht/chord/a.ts', `export { x } from '../../vhash/space.ts'\nexport const a = 1`],
  ['a dynamic import counts', 'src/mapreduce/a.ts', `export const x = await import('../market/ledger.ts')`],
  ['nobody below knows node.ts', 'src/mapreduce/a.ts', `import type { Host } from '../node.ts'`],
  ['cli reaches the ring through the facade', 'src/cli/a.ts', `import { x } from '../dht/chord/ring.ts'`],
  ['api does not know cli', 'src/api/a.ts', `import { x } from '../cli/up.ts'`],
  ['src does not know sim', 'src/dht/a.ts', `import { x } from '../../sim/clock.ts'`],
  ['src does not know jobs', 'src/node.ts', `import { x } from '../jobs/pi.ts'`],
  ['sim does not know tests', 'sim/a.ts', `import { x } from '../test/unit/tidy.ts'`],
])('arrows: %s', (_, path, code) => {
  expect(planted(path, code)).toEqual([expect.stringContaining('against the arrows')])
})

test.each([
  ['libp2p', 'src/dht/a.ts', `import { createLibp2p } from 'libp2p'`],
  ['its parts', 'src/node.ts', `import type { PeerId } from '@libp2p/interface'`],
  ['its encryption', 'src/net/transport.ts', `import { noise } from '@chainsafe/libp2p-noise'`],
])('only the adapter imports %s', (_, path, code) => {
  expect(planted(path, code)).toEqual([expect.stringContaining('only the adapter may')])
})

test.each([
  ['export const now = () => Date.now()', 'touches Date'],
  ['export const now = () => new Date()', 'touches Date'],
  ['export const now = () => performance.now()', 'touches performance'],
  ['setTimeout(() => {}, 1)', 'touches setTimeout'],
  ['globalThis.setTimeout(() => {}, 1)', 'touches globalThis'],
  ['setImmediate(() => {})', 'touches setImmediate'],
  ['export const x = Math.random()', 'touches Math.random'],
  [`export const x = Math['random']()`, 'touches Math.random'],
  ['const { random } = Math\nrandom()', 'touches Math.random'],
  ['export const x = AbortSignal.timeout(5)', 'touches AbortSignal.timeout'],
  ['export const x = AbortSignal.any([])', 'touches AbortSignal.any'],
  [`import { webcrypto } from 'node:crypto'`, 'imports webcrypto of node:crypto'],
  [`import { randomBytes as hash } from 'node:crypto'`, 'imports randomBytes of node:crypto'],
  [`import all from 'node:crypto'`, 'imports * of node:crypto'],
  [`import { gzip } from 'node:zlib'`, 'imports gzip of node:zlib'],
  [`import { readFile } from 'node:fs/promises'`, 'imports node:fs/promises'],
  [`import { Worker as Thread } from 'node:worker_threads'`, 'imports node:worker_threads'],
  [`export const x = 'a'.localeCompare('b')`, 'touches .localeCompare'],
  ['export const x = (1.5).toLocaleString()', 'touches .toLocaleString'],
])('protocol code is deterministic: %s', (code, what) => {
  expect(planted('src/dht/a.ts', code)).toEqual([`src/dht/a.ts: ${what}`])
  expect(planted('src/net/libp2p.ts', code)).toEqual([])
})

test('global crypto and its asynchronous half count twice', () => {
  expect(planted('jobs/a.ts', `export const x = crypto.subtle.digest('SHA-256', new Uint8Array())`)).toEqual([
    'jobs/a.ts: touches .subtle',
    'jobs/a.ts: touches crypto',
  ])
})

test('names in comments, strings, keys and types are not uses', () => {
  const code = `
    // Date.now() and Math.random() and import '../market/a.ts'
    import { createHash, hash } from 'node:crypto'
    import { gunzipSync } from 'node:zlib'
    export const text = "new Date(), setTimeout, import '../market/a.ts'"
    export const template = \`Date \${hash('sha256', text)} setTimeout\`
    export const pattern = /Date.now()/
    export const record = { Date: 1, process: 2, performance: 3 }
    export const sum = record.Date + record.process + Math.floor(record['performance'])
    export function fetch(process: number) { return process }
    export const fetched = fetch(1)
    export class Worker {}
    export const worker = new Worker()
    export interface Timers { setTimeout: number }
    export const use = (signal: AbortSignal) => [signal.aborted, createHash, gunzipSync]
  `
  expect(planted('src/dht/a.ts', code)).toEqual([])
})

test.each([
  ['a folder of everything', 'src/net/utils/ring.ts', 'export const a = 1', 'named after nothing'],
  ['a file of everything', 'src/net/helpers.ts', 'export const a = 1', 'named after nothing'],
  ['a types folder', 'src/net/types/contact.ts', 'export type A = 1', 'types folder'],
  ['an index', 'src/net/index.ts', 'export const a = 1', 'barrel'],
  ['a barrel by another name', 'src/net/all.ts', `export * from './contact.ts'`, 'barrel'],
  ['a long file', 'src/net/a.ts', 'export const a = 1\n'.repeat(400), 'has 402 lines'],
  ['a lonely test', 'test/unit/a.test.ts', `test.only('a', () => {})`, 'has a .only'],
  ['a lonely table', 'test/unit/a.test.ts', `test.only.each([1])('a', () => {})`, 'has a .only'],
  ['a test to come', 'test/unit/a.test.ts', `test.todo('a')`, 'has a .todo'],
  ['a note to oneself', 'src/net/a.ts', `// ${'TO'}DO later`, 'leaves a note'],
  ['a home', 'README.md', `cd /${'home'}/someone`, 'path of one machine'],
  ['a temporary path', 'test/e2e/a.test.ts', `export const a = '/${'tmp'}/a'`, 'path of one machine'],
  ['a registry', 'package.json', `"https://${'registry'}.example.org/a"`, 'names a registry'],
  ['a part that DESIGN does not know', 'extra/a.ts', 'export const a = 1', 'no part of the house'],
])('layout: %s', (_, path, code, what) => {
  expect(planted(path, code)).toEqual([expect.stringContaining(what)])
})

test('a file says what it is before anything else', () => {
  const opening = 'src/net/a.ts: does not open with what it is'
  expect(violations({ path: 'src/net/a.ts', text: 'export const a = 1\n/** Late. */\n' })).toEqual([opening])
  expect(violations({ path: 'src/net/a.ts', text: '#!/usr/bin/env node\n// What it is.\n' })).toEqual([])
})

test('a long file may only shrink, and is forgotten when it is short', () => {
  const list = { 'src/net/a.ts': 450 }
  const long = (lines: number) => violations({ path: 'src/net/a.ts', text: '/** Long. */\n'.repeat(lines) }, list)
  expect(long(450)).toEqual([])
  expect(long(449)).toEqual([])
  expect(long(451)).toEqual(['src/net/a.ts: has grown from 450 to 451 lines'])
  expect(long(400)).toEqual(['src/net/a.ts: is short now: take it off the list of long files'])
})

test('packages: loose, unused, undeclared, and of development only', () => {
  const loose: Manifest = {
    dependencies: { libp2p: '^3.0.0', multiformats: '1.0.0' },
    optionalDependencies: {},
    devDependencies: { '@libp2p/kad-dht': '1.0.0', '@types/libp2p': '1.0.0', '@types/other': '1.0.0' },
  }
  const sources = [
    { path: 'src/net/libp2p.ts', text: `import 'libp2p'\nimport '@libp2p/kad-dht'` },
    { path: 'bench/a.ts', text: `import '@libp2p/kad-dht'\nimport 'unknown/part'` },
    { path: 'bench/b.ts', text: `createRequire(import.meta.url)('old/part')` },
  ]
  expect(packageViolations(sources, loose)).toEqual([
    'package.json: libp2p is not pinned: ^3.0.0',
    'src/net/libp2p.ts: imports @libp2p/kad-dht, which package.json does not give to users',
    'bench/a.ts: imports unknown, which package.json does not name',
    'bench/b.ts: imports old, which package.json does not name',
    'package.json: multiformats is used by nobody',
    'package.json: @types/other is used by nobody',
  ])
})
