import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { networkFlags } from '../../../src/cli/network-flags.ts'
import { PLACEMENTS } from '../../../src/cli/values.ts'
import { overlayOf } from '../../../src/ledger-network.ts'
import { networkId } from '../../../src/net/network-id.ts'
import * as placements from '../../../src/net/placement.ts'
import { networkSettings } from '../../../src/network-settings.ts'
import { runCli } from './fake-host.ts'

let root: string
let next = 0
const fresh = (kind = 'home') => join(root, `${kind}${next++}`)
const network = (home: string, ...args: string[]) => runCli(['network', ...args, '--home', home])

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'chorale-test-'))
})
afterAll(() => rmSync(root, { recursive: true }))

test('a placement is chosen, shown, part of the id, and what nodes of the genesis start with', async () => {
  const home = fresh()
  const [usual, open] = [fresh('usual'), fresh('open')]
  expect(await network(home, 'create', '--out', usual)).toMatchObject({ code: 0 })
  expect(await network(home, 'create', '--out', open, '--placement', 'ip-prefix')).toMatchObject({ code: 0 })
  expect((await network(home, 'show', usual)).out).toMatch(/^placement {2}ip-port$/m)
  expect((await network(home, 'show', open)).out).toMatch(/^placement {2}ip-prefix$/m)
  expect([overlayOf(home, usual)!.placement, overlayOf(home, open)!.placement]).toEqual(['ip-port', 'ip-prefix'])
  const ids = [usual, open].map((file) => networkId(networkSettings(overlayOf(home, file)!)))
  expect(new Set(ids).size).toBe(2)
  const wrong = await network(home, 'create', '--out', fresh(), '--placement', 'random')
  expect(wrong).toMatchObject({ code: 2, err: expect.stringMatching(/Allowed choices are ip-port, ip-prefix/) })
})

test('the command line knows the placements that there are', () => {
  expect(PLACEMENTS).toEqual(placements.PLACEMENTS)
})

test('others are told the placement when it is not the usual one', () => {
  const usual = { network: 'private', space: 'ring', placement: 'ip-port', successors: 4, replicas: 3 }
  expect(networkFlags(usual)).toBe('')
  expect(networkFlags({ ...usual, placement: 'ip-prefix', successors: 16 })).toBe(
    ' --placement ip-prefix --successors 16',
  )
})
