import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Cli, type Terminal } from '../../../src/cli/cli.ts'
import { applyConfig, configFile } from '../../../src/cli/config.ts'
import { upCommand } from '../../../src/cli/up.ts'
import { runCli } from './fake-host.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'chorale-config-'))
  mkdirSync(join(root, 'chorale'))
})
afterEach(() => {
  rmSync(root, { recursive: true })
  vi.unstubAllEnvs()
})

const write = (text: string) => writeFileSync(join(root, 'chorale', 'config.json'), text)

/** What `up` would get. */
async function upOptions(...args: string[]): Promise<unknown> {
  let seen: unknown
  const terminal = { variables: {}, signal: new AbortController().signal } as Terminal
  const up: Command = upCommand(new Cli(terminal))
    .hook('preAction', () => void applyConfig(up, up, { XDG_CONFIG_HOME: root }))
    .action((options: unknown) => {
      seen = options
    })
  await up.parseAsync(args, { from: 'user' })
  return seen
}

test.each([
  ['linux', {}, '/u/.config/chorale/config.json'],
  ['linux', { XDG_CONFIG_HOME: '/x' }, '/x/chorale/config.json'],
  ['darwin', {}, '/u/Library/Preferences/chorale/config.json'],
  ['win32', { APPDATA: '/u/AppData' }, '/u/AppData/chorale/config.json'],
] as const)('on %s with %j the file is %s', (platform, variables, path) => {
  expect(configFile(variables, platform, '/u')).toBe(path)
})

test('a flag wins over a variable, that over the file, that over the default', async () => {
  write(
    '{"network": "lab", "slots": 2, "successors": "3", "bootstrap": ["127.0.0.1:1", "127.0.0.1:2"], "lend": "0cpu"}',
  )
  vi.stubEnv('CHORALE_SLOTS', '5')
  expect(await upOptions('--successors', '8')).toMatchObject({
    successors: 8,
    slots: 5,
    network: 'lab',
    lend: { cores: 0 },
    bootstrap: ['127.0.0.1:1', '127.0.0.1:2'],
  })
  expect(await upOptions('--bootstrap', '127.0.0.1:3')).toMatchObject({ bootstrap: ['127.0.0.1:3'], successors: 3 })
  rmSync(join(root, 'chorale', 'config.json'))
  expect(await upOptions()).toMatchObject({ network: 'private', slots: 5, successors: 4 })
})

test.each([
  [
    '{"lnd": 1}',
    /config\.json: "lnd": unknown key; there are allow-native, api, bootstrap, genesis, home, lend, lend-as-root, listen, network, pay, placement, replicas, slots, space, store, succ/,
  ],
  ['{"tied": "x"}', /"tied": unknown key/],
  ['{"lend": "all"}', /config\.json: "lend": --lend must be a number of cores, not 'all'/],
  ['{"slots": -1}', /"slots": --slots must be a whole number/],
  ['{"slots": null}', /"slots": must be text or a number, as for --slots/],
  ['{"slots": [1]}', /"slots": must be text or a number/],
  ['{"bootstrap": ["127.0.0.1:1", "host"]}', /"bootstrap": --bootstrap must be IP:PORT, not 'host'/],
  ['{"home": 5}', /"home": must be a path/],
  ['[]', /config\.json must hold one JSON object/],
  ['{', /config\.json cannot be read: /],
])('%s is one clear line and exit code 2', async (text, line) => {
  write(text)
  const { code, out, err } = await runCli(['id'], { variables: { XDG_CONFIG_HOME: root } })
  expect(err).toMatch(line)
  expect(err.trimEnd().split('\n')).toHaveLength(1)
  expect({ code, out }).toEqual({ code: 2, out: '' })
})

test('a home in the file starts from its directory, and gives way to CHORALE_HOME and --home', async () => {
  write('{"home": "../node"}')
  const noNode = async (variables: Record<string, string>, ...args: string[]) =>
    (await runCli(['status', '--json', ...args], { variables: { XDG_CONFIG_HOME: root, ...variables } })).err
  expect(await noNode({})).toContain(join(root, 'node'))
  expect(await noNode({ CHORALE_HOME: join(root, 'other') })).toContain(join(root, 'other'))
  expect(await noNode({ CHORALE_HOME: join(root, 'other') }, '--home', join(root, 'third'))).toContain(
    join(root, 'third'),
  )
})
