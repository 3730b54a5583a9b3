import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openHome } from '../../../src/home.ts'
import { keepGenesis, newGenesis } from '../../../src/ledger-genesis.ts'
import { overlayOf } from '../../../src/ledger-network.ts'
import { addressOf } from '../../../src/market/ledger/address.ts'
import { decodeGenesis, encodeGenesis, networkOf } from '../../../src/market/ledger/genesis.ts'
import { encodeReceiptFile } from '../../../src/market/ledger/receipt/receipt.ts'
import { peerOfPublicKey, publicKeyOfPeer } from '../../../src/net/host-key.ts'
import { networkId } from '../../../src/net/network-id.ts'
import { networkSettings } from '../../../src/network-settings.ts'
import { keysOf } from '../../fakes/host-ledger.ts'
import { bench, runCli } from './fake-host.ts'

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

const self = { host: keysOf(1).publicKey, account: keysOf(2).publicKey }

test('a host has one name as a peer and one on the ledger', () => {
  const peer = peerOfPublicKey(self.host)
  expect(peer).toMatch(/^12D3KooW/)
  expect(publicKeyOfPeer(peer)).toBe(self.host)
  expect(publicKeyOfPeer('12D3KooW')).toBeUndefined()
})

describe('chorale network', () => {
  const network = (home: string, ...args: string[]) => runCli(['network', ...args, '--home', home])

  test('create writes a genesis with this home as its banker, and show reads it', async () => {
    const home = fresh()
    const file = fresh('genesis')
    const created = await network(
      home,
      'create',
      '--out',
      file,
      '--network',
      'lab',
      '--epoch',
      '1d',
      '--grant',
      '7.5',
      '--json',
    )
    expect(created.code).toBe(0)
    const facts = JSON.parse(created.out)
    const genesis = decodeGenesis(readFileSync(file))
    expect(facts).toMatchObject({ v: 1, type: 'network', file, network: networkOf(genesis) })
    expect(facts.settings).toMatchObject({
      name: 'lab',
      epochMs: 86_400_000,
      grant: '7500',
      bond: '10000',
      mintCap: null,
    })
    const { out } = await runCli(['wallet', 'address', '--home', home])
    expect(facts.bankers).toEqual([{ ...facts.bankers[0], address: out.trim() }])
    const shown = await network(fresh(), 'show', file, '--json')
    expect(JSON.parse(shown.out)).toEqual({ ...facts, file: undefined })
    const people = await network(fresh(), 'show', file)
    const overlay = networkId(genesis.settings)
    expect(facts.overlay).toBe(overlay)
    expect(people.out.split('\n').slice(0, 5)).toEqual([
      'network    lab',
      `ledger id  ${networkOf(genesis)}`,
      `overlay    ring of 4 successors, id ${overlay}`,
      'placement  ip-port',
      'kept       each block by 3 nodes (--replicas), records and jobs by 4',
    ])
    const again = await network(home, 'create', '--out', fresh('genesis'), '--json')
    expect(JSON.parse(again.out).bankers).toEqual(facts.bankers) // the host's key is kept
    const told = await network(home, 'create', '--out', `${file}2`)
    expect(told.err).toContain(`  chorale up --genesis ${file}2 --home ${home}\n`)
    expect(told.err).toContain(`  chorale up --genesis ${file}2 --bootstrap ADDR\n`)
    expect(await network(home, 'create', '--out', file)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/EEXIST/),
    })
  })

  test('homes that have never run say which bankers they are, and found a network together', async () => {
    const homes = [fresh(), fresh(), fresh(), fresh()]
    const id = (home: string, ...args: string[]) => runCli(['id', ...args, '--home', home])
    expect(await id(homes[0]!)).toMatchObject({ code: 3, err: expect.stringMatching(/no node has run in/) })
    expect(existsSync(homes[0]!)).toBe(false)
    const bankers: string[] = []
    for (const home of homes) {
      const { code, out, err } = await id(home, '--banker')
      expect({ code, err }).toEqual({ code: 0, err: expect.stringMatching(/a new wallet, in .*\n {2}chorale wallet/) })
      expect(await id(home, '--banker')).toEqual({ code: 0, out, err: '' })
      const [peer, address] = out.trim().split('=')
      expect((await runCli(['wallet', 'address', '--home', home])).out.trim()).toBe(address)
      expect((await id(home, '-q')).out.trim()).toBe(peer)
      expect(JSON.parse((await id(home, '--banker', '--json')).out)).toMatchObject({ type: 'banker', peer, address })
      bankers.push('--banker', out.trim())
    }
    const file = fresh('genesis')
    const created = await network(fresh(), 'create', '--out', file, ...bankers)
    expect(created).toMatchObject({ code: 0, err: expect.stringContaining(`up --genesis ${file} --home DIR\n`) })
    const genesis = decodeGenesis(readFileSync(file))
    expect(genesis.bankers.map(({ host }) => peerOfPublicKey(host)).sort()).toEqual(
      bankers
        .filter((_, i) => i % 2 === 1)
        .map((text) => text.split('=')[0])
        .sort(),
    )
    // A home that is in a ledger stays with it: it could never start as a banker of another.
    keepGenesis(homes[0]!, genesis)
    for (const result of [await id(homes[0]!, '--banker'), await network(homes[0]!, 'create', '--out', `${file}2`)]) {
      expect(result).toMatchObject({ code: 2, err: expect.stringMatching(/is in network private already.*--home DIR/) })
    }
  })

  test('a new host key is another peer, whatever the home has been', async () => {
    const home = fresh()
    const { out } = await runCli(['id', '--banker', '--home', home])
    const open = openHome(home, 1)
    open.keepPlace({ peer: 'of last time', port: 4001 })
    open.close()
    expect((await runCli(['id', '-q', '--home', home])).out.trim()).toBe(out.split('=')[0])
  })

  test('a node is started as its genesis says: that of the file, else that of the home', () => {
    const [home, file] = [freshHome(), fresh('genesis')]
    const lab = networkSettings({ network: 'lab', space: 'ring', successors: 4 })
    const torus = networkSettings({ network: 'lab2', space: 'torus2', successors: 4, replicas: 2 })
    const usual = { placement: 'ip-port', successors: 4 }
    expect(overlayOf(home, undefined)).toBeUndefined()
    keepGenesis(home, newGenesis(lab, [self], 1))
    expect(overlayOf(home, undefined)).toEqual({ ...usual, network: 'lab', space: 'ring', replicas: 3 })
    writeFileSync(file, encodeGenesis(newGenesis(torus, [self], 1)))
    expect(overlayOf(home, file)).toEqual({ ...usual, network: 'lab2', space: 'torus2', replicas: 2 })
  })

  test('rules by which nobody could stand for the committee at once are told', async () => {
    const create = (...rules: string[]) => network(fresh(), 'create', '--out', fresh('genesis'), ...rules)
    const line =
      'granted 5 credits and a bond is 10 credits: nobody can stand for the committee before earning the rest\n'
    expect(await create('--grant', '5', '--epoch', '1m')).toMatchObject({ code: 0, err: expect.stringContaining(line) })
    expect((await create('--grant', '10')).err).not.toContain('nobody can stand')
    expect((await network(fresh(), 'create', '--help')).out.match(/this home/g)).toHaveLength(1)
  })

  test('bankers may be named', async () => {
    const banker = (number: number) =>
      `${peerOfPublicKey(keysOf(number).publicKey)}=${addressOf(keysOf(number + 1).publicKey)}`
    const four = [11, 13, 15, 17].flatMap((number) => ['--banker', banker(number)])
    const file = fresh('genesis')
    expect(await network(fresh(), 'create', '--out', file, ...four)).toMatchObject({ code: 0 })
    expect(decodeGenesis(readFileSync(file)).bankers).toHaveLength(4)
    expect(await network(fresh(), 'create', '--out', fresh(), ...four.slice(2))).toMatchObject({
      code: 2,
      err: expect.stringMatching(/has 3 bankers: a committee has 1, 4, 7/),
    })
    expect(await network(fresh(), 'create', '--out', fresh(), ...four, ...four)).toMatchObject({ code: 2 })
  })

  test.each([
    [['create'], /required option '-o, --out <file>'/],
    [['create', '--out', 'x', '--epoch', '59s'], /--epoch must be a time of 60 s to 3660 days/],
    [['create', '--out', 'x', '--committee', '5'], /committee cap that is not 1, 4, 7/],
    [['create', '--out', 'x', '--bond', '0'], /asks no bond/],
    [['create', '--out', 'x', '--bond', 'abc'], /'abc' is no amount/],
    [['create', '--out', 'x', '--mint-cap', '1'], /makes more credits than its mint cap allows/],
    [['create', '--out', 'x', '--replicas', '6'], /6 replicas need 5 successors/],
    [['create', '--out', 'x', '--banker', 'me'], /--banker must be PEER=ADDRESS/],
    [['create', '--out', 'x', '--banker', `me=${addressOf(keysOf(2).publicKey)}`], /--banker must be PEER=ADDRESS/],
    [['create', '--out', 'x', '--network', 'a b'], /--network must be/],
    [['show', 'none'], /none is no genesis/],
    [['show'], /is in no network yet: it gets one with its first chorale up/],
  ])('%j is one line and exit code 2', async (args, line) => {
    const result = await network(fresh(), ...args)
    expect(result).toMatchObject({ code: 2, out: '', err: expect.stringMatching(line) })
    expect(result.err.trimEnd().split('\n')).toHaveLength(1)
  })
})

describe('chorale receipt', () => {
  async function paid() {
    const b = await bench()
    const { books } = b.host
    const { ledger } = books
    const ben = books.walletOf(keysOf(3), keysOf(4))
    await ben.settleIn({ signal: new AbortController().signal })
    const home = freshHome()
    keepGenesis(home, ledger.genesis)
    const file = fresh('receipt')
    expect(await b.chorale('receipt', 'show', '2/0', '-o', file)).toMatchObject({ code: 0 })
    return { b, ledger, ben, home, file, network: ledger.network }
  }

  test('one is fetched, shown, and verified without a network', async () => {
    const { b, home, file, network, ben } = await paid()
    await using _ = b
    const verify = async (...args: string[]) => runCli(['receipt', 'verify', file, ...args])
    const good = await verify('--home', home)
    expect(good).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^good: a receipt that it was applied\nwhat {7}link host /),
      err: '',
    })
    const facts = JSON.parse((await verify('--ledger', network, '--home', fresh(), '--json')).out)
    expect(facts).toMatchObject({ v: 1, type: 'receipt', good: true, vouched: 'option', network, height: 2, index: 0 })
    expect(facts).toMatchObject({ address: addressOf(ben.account), action: { kind: 'link' }, result: 'applied' })
    expect(JSON.parse((await verify('--home', home, '--json')).out)).toMatchObject({ vouched: 'home' })
    const shown = await runCli(['receipt', 'show', file])
    expect(shown).toMatchObject({
      code: 0,
      out: good.out.replace(/^.*\n/, ''),
      err: expect.stringMatching(/not verified/),
    })
    expect(await b.chorale('receipt', 'show', '2/0', '-o', file)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/EEXIST/),
    })
  })

  test('nobody vouches for a network that nobody knows: the receipt does not pass', async () => {
    const { b, file, network } = await paid()
    await using _ = b
    const result = await runCli(['receipt', 'verify', file, '--home', fresh()])
    expect(result).toMatchObject({ code: 2, out: '' })
    expect(result.err).toMatch(new RegExp(`which nobody here vouches for: add --ledger ${network} if you know it`))
  })

  test('a bad one is named, with exit code 9', async () => {
    const { b, home, file, ledger } = await paid()
    await using _ = b
    const verify = async (bytes: Uint8Array | undefined, ...args: string[]) => {
      if (bytes) writeFileSync(file, bytes)
      const result = await runCli(['receipt', 'verify', file, '--home', home, ...args])
      expect(result.code).toBe(9)
      if (!args.includes('--json')) {
        expect(result.out).toBe('')
        expect(result.err.trimEnd().split('\n')).toHaveLength(1)
      }
      return result
    }
    const good = readFileSync(file)
    const receipt = (await ledger.receipt({ height: 2, index: 0 }))!
    expect((await verify(undefined, '--ledger', 'ab'.repeat(32))).err).toMatch(/\(wrong-network\)/)
    expect((await verify(Buffer.from('hello'))).err).toMatch(/\(malformed\)/)
    expect((await verify(new Uint8Array())).err).toMatch(/\(malformed\)/)
    const change = (changes: object) => encodeReceiptFile({ ...receipt, receipt: { ...receipt.receipt, ...changes } })
    expect((await verify(change({ result: 'insufficient' }))).err).toMatch(/\(broken-path\)/)
    expect((await verify(change({ certificate: [] }))).err).toMatch(/\(too-few-signatures\)/)
    const [vote] = receipt.receipt.certificate
    expect((await verify(change({ certificate: [{ ...vote, signature: new Uint8Array(64) }] }))).err).toMatch(
      /\(bad-signature\)/,
    )
    const json = await verify(undefined, '--json')
    expect(JSON.parse(json.out)).toMatchObject({ type: 'receipt', good: false, fault: { code: 'bad-signature' } })
    for (let bit = 5; bit < good.length * 8; bit += 97) {
      const flipped = Buffer.from(good)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      await verify(flipped)
    }
  })

  test.each([
    [['verify', 'none'], 2, /cannot read none/],
    [['verify', '.'], 2, /cannot read \./],
    [['verify', 'none', '--ledger', 'abc'], 2, /--ledger must be 64 hex digits/],
    [['verify'], 2, /missing required argument/],
    [['show', 'none'], 2, /cannot read none/],
    [['show', '9/9'], 2, /has no operation 9\/9/],
    [['show', '1/99999'], 2, /RECEIPT must be HEIGHT\/INDEX/],
  ])('%j: exit code %d', async (args, code, line) => {
    await using b = await bench()
    const result = await b.chorale('receipt', ...args, '--home', fresh())
    expect(result).toMatchObject({ code, out: '', err: expect.stringMatching(line) })
    expect(result.err.trimEnd().split('\n')).toHaveLength(1)
  })

  test('list names the places', async () => {
    const { b } = await paid()
    await using _ = b
    const nobody = addressOf(keysOf(9).publicKey)
    expect(await b.chorale('wallet', 'send', nobody, '1')).toMatchObject({ code: 2 })
    expect((await b.chorale('receipt', 'list')).out).toMatch(
      /^3\/0 {2}2026-01-02 03:04:05 UTC {2}1 credit to [0-9a-f]{12}: refused, an account that it names has not been opened\n$/,
    )
    const line = JSON.parse((await b.chorale('receipt', 'list', '--json')).out)
    expect(line).toMatchObject({ v: 1, type: 'receipt', height: 3, index: 0, kind: 'transfer', result: 'no-recipient' })
  })
})

describe('chorale ledger', () => {
  test('status says how it is, and why it stands still', async () => {
    await using b = await bench()
    const { ledger } = b.host.books
    const json = JSON.parse((await b.chorale('ledger', 'status', '--json')).out)
    expect(json).toMatchObject({
      v: 1,
      type: 'ledger',
      height: 0,
      epoch: 0,
      seat: 0,
      halted: null,
      lag: 0,
      supply: '60000',
    })
    expect(json.network).toBe(ledger.network)
    const text = (await b.chorale('ledger', 'status')).out
    expect(text).toMatch(/^state {6}well\nheight {5}0, 2026-01-02 03:04:05 UTC\n/)
    expect(text).toMatch(
      /committee {2}1 seat, of which 0 may lie: [0-9a-f]{12}\nyour seat {2}0\nyour bond {2}10 credits, stands for the committee\nsupply {5}60 credits in 1 account; /,
    )
    ledger.halted = 'too few bankers answer: 4 of 7\nare\u001b[2J needed'
    const halted = await b.chorale('ledger', 'status')
    expect(halted.out).toMatch(/^state {6}stands still: too few bankers answer: 4 of 7 are\ufffd\[2J needed\n/)
  })

  test('without a node it says how to start one', async () => {
    mkdirSync(fresh())
    const result = await runCli(['ledger', 'status', '--home', fresh()])
    expect(result).toMatchObject({ code: 3, err: expect.stringMatching(/start one with chorale up -d/) })
  })

  test.each(['wallet', 'receipt', 'ledger', 'network'])('%s --help has examples', async (name) => {
    const { code, out } = await runCli([name, '--help'])
    expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/Examples:\n {2}\$ chorale/) })
  })
})
