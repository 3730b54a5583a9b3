import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ChoraleError } from '../../../src/core/errors.ts'
import { openHome } from '../../../src/home.ts'
import { chooseGenesis, keepGenesis, keptGenesis, newGenesis, pinnedGenesis } from '../../../src/ledger-genesis.ts'
import { genesisFetcher } from '../../../src/market/ledger/fetch-genesis.ts'
import { encodeGenesis, type Genesis } from '../../../src/market/ledger/genesis.ts'
import type { Contact } from '../../../src/net/contact.ts'
import type { Transport } from '../../../src/net/transport.ts'
import { networkSettings } from '../../../src/network-settings.ts'
import { keysOf } from '../../fakes/host-ledger.ts'

let root: string
let next = 0
const fresh = (kind = 'home') => join(root, `${kind}${next++}`)
const freshHome = () => {
  const home = fresh()
  openHome(home, 1).close()
  return home
}

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'chorale-test-'))
})
afterAll(() => rmSync(root, { recursive: true }))

const lab = networkSettings({ network: 'lab', space: 'ring', successors: 4 })
const self = { host: keysOf(1).publicKey, account: keysOf(2).publicKey }
const other = { host: keysOf(3).publicKey, account: keysOf(4).publicKey }

describe('which genesis a host has', () => {
  const signal = new AbortController().signal
  const ask = (answer: Genesis | ChoraleError | undefined) => {
    const asked: unknown[] = []
    const fetch = async (options: unknown) => {
      asked.push(options)
      if (answer instanceof ChoraleError || answer === undefined) throw answer ?? new Error('nobody should be asked')
      return answer
    }
    return { asked, fetch }
  }
  const choose = (home: string, answer: Genesis | ChoraleError | undefined, first: boolean, given?: string) => {
    const pinned = pinnedGenesis(home, given, lab)
    return chooseGenesis({ home, pinned, network: lab, first, fetch: ask(answer).fetch, self, nowMs: 5 }, { signal })
  }
  const theirs = newGenesis(lab, [other], 1)

  test('the first of a network makes it, is the only banker, and keeps it', async () => {
    const home = freshHome()
    const made = await choose(home, undefined, true)
    expect(made).toMatchObject({ bankers: [self], createdAtMs: 5, settings: { name: 'lab', successors: 4 } })
    expect(await choose(home, undefined, true)).toEqual(made)
    expect(keptGenesis(home)).toEqual(made)
  })

  test('a joiner takes that of the members, and keeps it', async () => {
    const home = freshHome()
    expect(await choose(home, theirs, false)).toEqual(theirs)
    expect(keptGenesis(home)).toEqual(theirs)
    const silent = new ChoraleError('unreachable', 'nobody answers')
    expect(await choose(home, silent, false)).toEqual(theirs) // all may be starting
    await expect(choose(freshHome(), silent, false)).rejects.toThrow('nobody answers')
  })

  test('another one than the home keeps is refused, whoever has it', async () => {
    const home = freshHome()
    keepGenesis(home, newGenesis(lab, [self], 1))
    const line =
      /keeps ledger [0-9a-f]{16} of network lab, but .* ledger [0-9a-f]{16} of network lab: choose another home with --home DIR$/
    await expect(choose(home, theirs, false)).rejects.toThrow(line)
    const file = fresh('genesis')
    writeFileSync(file, encodeGenesis(theirs))
    expect(() => pinnedGenesis(home, file, lab)).toThrow(line)
    expect(keptGenesis(home)).toMatchObject({ bankers: [self] })
  })

  test('a file pins it before anybody is asked, and the members must agree', async () => {
    const home = freshHome()
    const file = fresh('genesis')
    writeFileSync(file, encodeGenesis(theirs))
    expect(await choose(home, undefined, true, file)).toEqual(theirs)
    const careful = freshHome()
    await expect(choose(careful, newGenesis(lab, [self], 1), false, file)).rejects.toThrow(
      /the members of this network keep/,
    )
    expect(keptGenesis(careful)).toBeUndefined()
  })

  test.each([
    ['name', { network: 'other' }, /name is lab there and other here: see --network/],
    ['space', { space: 'torus2' }, /space is as usual there and torus2 here: see --space/],
    [
      'placement',
      { placement: 'ip-prefix' as const },
      /placement is ip-port there and ip-prefix here: see --placement/,
    ],
    ['successors', { successors: 6 }, /successors is 4 there and 6 here: see --successors/],
    ['replicas', { replicas: 5 }, /replicas is 4 there and 5 here: see --replicas/],
    ['copies', { replicas: 2 }, /copies is as usual there and 2 here: see --replicas/],
  ])('that of another network is refused: %s', async (_, change, line) => {
    const network = networkSettings({ network: 'lab', space: 'ring', successors: 4, ...change })
    const home = freshHome()
    const options = { home, pinned: undefined, network, first: false, fetch: ask(theirs).fetch, self, nowMs: 5 }
    await expect(chooseGenesis(options, { signal })).rejects.toThrow(line)
    expect(keptGenesis(home)).toBeUndefined()
    keepGenesis(home, theirs)
    expect(() => pinnedGenesis(home, undefined, network)).toThrow(line)
  })

  /** Of members that tell these bytes; undefined: nothing. */
  const chooseOf = async (home: string, ...told: Array<Uint8Array | undefined>) => {
    const members = ['me', ...told.keys()].map((peer) => ({ peer }) as unknown as Contact)
    const request = async ({ peer }: { peer: number }) => {
      const genesis = told[peer]
      if (!genesis) throw new ChoraleError('busy', 'it is still starting')
      return { genesis }
    }
    const fetch = genesisFetcher({ peer: 'me', request } as unknown as Transport, () => members)
    const pinned = pinnedGenesis(home, undefined, lab)
    return chooseGenesis({ home, pinned, network: lab, first: false, fetch, self, nowMs: 5 }, { signal })
  }
  const ours = newGenesis(lab, [self], 1)
  const [good, lie, rubbish] = [encodeGenesis(ours), encodeGenesis(theirs), new Uint8Array(7)]

  test('members that lie or tell rubbish do not keep a host from its own ledger, if one has it or is silent', async () => {
    const home = freshHome()
    keepGenesis(home, ours)
    for (const told of [
      [lie, good],
      [rubbish, good],
      [undefined, lie, rubbish, good],
      [lie, undefined],
      [rubbish],
      [],
    ]) {
      expect(await chooseOf(home, ...told)).toEqual(ours)
    }
    await expect(chooseOf(home, lie, lie)).rejects.toThrow(/the members of this network keep ledger/)
  })

  test('a joiner takes the first genesis that fits its network, and passes over rubbish', async () => {
    const elsewhere = encodeGenesis(
      newGenesis(networkSettings({ network: 'other', space: 'ring', successors: 4 }), [other], 1),
    )
    expect(await chooseOf(freshHome(), rubbish, undefined, elsewhere, lie, good)).toEqual(theirs)
    await expect(chooseOf(freshHome(), elsewhere)).rejects.toThrow(/name is other there and lab here/)
    await expect(chooseOf(freshHome(), rubbish, undefined)).rejects.toThrow(/no member .* has told the genesis/)
    await expect(chooseOf(freshHome(), elsewhere, undefined)).rejects.toThrow(/some members .* are silent/)
  })

  test('rubbish is refused, from a file or the home', async () => {
    const home = freshHome()
    const file = fresh('genesis')
    writeFileSync(file, 'rubbish')
    expect(() => pinnedGenesis(home, file, lab)).toThrow(/is no genesis/)
    expect(() => pinnedGenesis(home, fresh(), lab)).toThrow(/is no genesis/)
    writeFileSync(join(home, 'genesis'), 'rubbish')
    expect(() => pinnedGenesis(home, undefined, lab)).toThrow(/is damaged/)
  })
})
