import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openHome, removeUnusedHome } from '../../../src/home.ts'
import { keepGenesis, newGenesis } from '../../../src/ledger-genesis.ts'
import { backupWallet, openWallet, restoreWallet, walletFile, walletIn } from '../../../src/ledger-wallet.ts'
import { addressOf } from '../../../src/market/ledger/address.ts'
import { verifyEd25519 } from '../../../src/market/ledger/ed25519.ts'
import type { KeyPair } from '../../../src/market/ledger/keys.ts'
import { InDoubt } from '../../../src/market/ledger/ledger.ts'
import { networkSettings } from '../../../src/network-settings.ts'
import { keysOf } from '../../fakes/host-ledger.ts'
import { ended } from '../../fakes/ledger.ts'
import { bench, runCli } from './fake-host.ts'

let root: string
let next = 0
const fresh = () => join(root, `home${next++}`)

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'chorale-test-'))
})
afterAll(() => rmSync(root, { recursive: true }))

/** Of a home of its own. */
function strangersBackup(copy: string): KeyPair {
  const home = fresh()
  openWallet(home)
  return backupWallet(home, copy)
}

describe('the file', () => {
  test('is made once, is readable by its user alone, and signs', () => {
    const home = fresh()
    const first = openWallet(home)
    expect(first.made).toBe(true)
    expect(statSync(first.file).mode & 0o777).toBe(0o600)
    const again = openWallet(home)
    expect([again.made, again.keys.publicKey]).toEqual([false, first.keys.publicKey])
    const bytes = Buffer.from('x')
    expect(verifyEd25519(first.keys.publicKey, bytes, again.keys.sign(bytes))).toBe(true)
    expect(openWallet(fresh()).keys.publicKey).not.toBe(first.keys.publicKey)
    expect(readdirSync(home).sort()).toEqual(['format', 'wallet'])
    removeUnusedHome(home)
    expect(existsSync(first.file)).toBe(true) // it may be the only copy
  })

  test.each([0o640, 0o604, 0o620, 0o666])('is refused when others may use it (mode %o)', (mode) => {
    const home = fresh()
    chmodSync(openWallet(home).file, mode)
    expect(() => openWallet(home)).toThrow(expect.objectContaining({ code: 'auth' }))
    expect(() => backupWallet(home, join(root, 'leak'))).toThrow(/chmod 600/)
    expect(existsSync(join(root, 'leak'))).toBe(false)
  })

  test('is refused when any of it is damaged, and never replaced by a new one', () => {
    const home = fresh()
    const { file } = openWallet(home)
    const text = readFileSync(file, 'utf8')
    const seed = text.indexOf('"seed":"') + 8
    const damages = ['', '{}', text.slice(0, 40), text.replace('"v":1', '"v":2'), 'x'.repeat(5000)]
    for (let i = seed; i < seed + 64; i += 7) {
      damages.push(`${text.slice(0, i)}${text[i] === '0' ? '1' : '0'}${text.slice(i + 1)}`)
    }
    for (const damaged of damages) {
      writeFileSync(file, damaged)
      expect(() => openWallet(home)).toThrow(/is damaged: get it back with chorale wallet restore/)
      expect(readFileSync(file, 'utf8')).toBe(damaged)
    }
    writeFileSync(file, text.trimEnd()) // as an editor might leave it
    expect(openWallet(home).made).toBe(false)
  })

  test('two that make one at the same time have the same', () => {
    const home = fresh()
    openWallet(home)
    rmSync(walletFile(home))
    writeFileSync(`${walletFile(home)}.${process.pid}.draft`, 'left by a crash')
    expect(openWallet(home).made).toBe(true)
  })

  test('backup and restore', () => {
    const home = fresh()
    const copy = join(root, 'copy')
    const { keys } = openWallet(home)
    expect(backupWallet(home, copy).publicKey).toBe(keys.publicKey)
    expect(statSync(copy).mode & 0o777).toBe(0o600)
    expect(() => backupWallet(home, copy)).toThrow(/copy exists/)
    const other = fresh()
    const restored = restoreWallet(other, copy, { replace: false })
    expect(restored).toMatchObject({ made: true, before: undefined })
    expect(openWallet(other).keys.publicKey).toBe(keys.publicKey)
    expect(restoreWallet(other, copy, { replace: false })).toMatchObject({ made: false })
  })

  test('a restore overwrites nothing unless it is told to, and keeps even then what was there', () => {
    const copy = join(root, 'copy2')
    const keys = strangersBackup(copy)
    const home = fresh()
    const mine = openWallet(home)
    expect(() => restoreWallet(home, copy, { replace: false })).toThrow(
      /has another wallet, [0-9a-f]{72}: .*--replace$/,
    )
    expect(openWallet(home).keys.publicKey).toBe(mine.keys.publicKey)
    const { before } = restoreWallet(home, copy, { replace: true })
    expect(openWallet(home).keys.publicKey).toBe(keys.publicKey)
    expect(restoreWallet(home, before!, { replace: true })).toMatchObject({ keys: { publicKey: mine.keys.publicKey } })
    writeFileSync(walletFile(home), 'rubbish')
    expect(() => restoreWallet(home, copy, { replace: false })).toThrow(/damaged/)
    expect(restoreWallet(home, copy, { replace: true }).before).toMatch(/wallet\.damaged$/)
  })

  test('whatever a restore replaces, the next one does not overwrite', () => {
    const copies = ['copy5', 'copy6'].map((name) => join(root, name))
    for (const copy of copies) strangersBackup(copy)
    const home = fresh()
    openWallet(home)
    const damages = Array.from({ length: 4 }, (_, i) => `rubbish ${i}`)
    const kept = damages.map((damage, i) => {
      writeFileSync(walletFile(home), damage)
      return restoreWallet(home, copies[i % 2]!, { replace: true }).before!
    })
    expect(kept.map((file) => readFileSync(file, 'utf8'))).toEqual(damages)
    // A name that is taken by something else is passed over, one that has the same wallet is not.
    const { publicKey } = openWallet(home).keys
    const named = `${walletFile(home)}.${publicKey.slice(0, 16)}`
    writeFileSync(named, 'of somebody else')
    const befores = Array.from({ length: 5 }, (_, i) => restoreWallet(home, copies[i % 2]!, { replace: true }).before)
    expect(readFileSync(named, 'utf8')).toBe('of somebody else')
    expect(befores[0]).toBe(`${named}.2`)
    expect(new Set(befores).size).toBe(2)
    const files = readdirSync(home).filter((name) => name.startsWith('wallet'))
    expect(files).toHaveLength(1 + damages.length + 3)
  })

  test('a wallet that others may read is not damaged: a restore leaves it, and says what to do', () => {
    const copy = join(root, 'copy7')
    strangersBackup(copy)
    const home = fresh()
    const { file, keys } = openWallet(home)
    chmodSync(file, 0o644)
    for (const replace of [false, true]) {
      expect(() => restoreWallet(home, copy, { replace })).toThrow(expect.objectContaining({ code: 'auth' }))
    }
    chmodSync(file, 0o600)
    expect(openWallet(home).keys.publicKey).toBe(keys.publicKey)
    expect(readdirSync(home).sort()).toEqual(['format', 'wallet'])
  })

  test('there is nothing to back up where no wallet is, and none is made', () => {
    const home = fresh()
    const nothing = expect.objectContaining({ code: 'not-found', message: expect.stringMatching(/nothing was copied/) })
    expect(() => backupWallet(home, join(root, 'mistyped'))).toThrow(nothing)
    expect([existsSync(home), existsSync(join(root, 'mistyped'))]).toEqual([false, false])
    openHome(home, 1).close()
    expect(() => backupWallet(home, join(root, 'mistyped'))).toThrow(nothing)
    expect(existsSync(walletFile(home))).toBe(false)
  })

  test('a wallet that is lost is not replaced in silence once its home is in a ledger', () => {
    const home = fresh()
    const copy = join(root, 'copy8')
    const { keys, file } = openWallet(home)
    backupWallet(home, copy)
    const self = { host: keysOf(1).publicKey, account: keys.publicKey }
    keepGenesis(home, newGenesis(networkSettings({ network: 'lab', space: 'ring', successors: 4 }), [self], 1))
    rmSync(file)
    const lost = expect.objectContaining({
      code: 'config',
      message: expect.stringMatching(/ is gone: .*chorale wallet restore FILE, or .*chorale up --new-wallet/),
    })
    for (const use of [openWallet, walletIn, (at: string) => backupWallet(at, join(root, 'copy9'))]) {
      expect(() => use(home)).toThrow(lost)
      expect(existsSync(file)).toBe(false)
    }
    expect(restoreWallet(home, copy, { replace: false }).keys.publicKey).toBe(keys.publicKey)
    expect(openWallet(home, { anew: true })).toMatchObject({ made: false, keys: { publicKey: keys.publicKey } })
    rmSync(file)
    const anew = openWallet(home, { anew: true })
    expect(anew.made).toBe(true)
    expect(anew.keys.publicKey).not.toBe(keys.publicKey)
    expect(openWallet(home).keys.publicKey).toBe(anew.keys.publicKey)
  })

  test('a restore needs a backup, and a home in which no node runs', () => {
    const home = fresh()
    const bad = join(root, 'bad')
    writeFileSync(bad, '{"v":1}')
    expect(() => restoreWallet(home, bad, { replace: true })).toThrow(/bad is no wallet/)
    expect(() => restoreWallet(home, join(root, 'none'), { replace: true })).toThrow(/cannot read/)
    expect(existsSync(home)).toBe(false)
    const copy = join(root, 'copy3')
    strangersBackup(copy)
    const open = openHome(home, 1)
    expect(() => restoreWallet(home, copy, { replace: true })).toThrow(/stop it first, with chorale down/)
    open.close()
  })
})

describe('the commands', () => {
  const at = (home: string, ...args: string[]) => runCli([...args, '--home', home])

  test('address makes a wallet, says so once, and prints the same ever after', async () => {
    const home = fresh()
    const first = await at(home, 'wallet', 'address')
    expect(first).toMatchObject({ code: 0, out: expect.stringMatching(/^[0-9a-f]{72}\n$/) })
    expect(first.err).toMatch(/a new wallet, in .*\n {2}chorale wallet backup FILE --home /)
    const again = await at(home, 'wallet', 'address', '--json')
    expect(JSON.parse(again.out)).toMatchObject({ v: 1, type: 'wallet', address: first.out.trim(), made: false })
    expect(again.err).toBe('')
  })

  test('backup and restore are one command each', async () => {
    const [home, other] = [fresh(), fresh()]
    const copy = join(root, 'copy4')
    const { out } = await at(home, 'wallet', 'address')
    expect(await at(home, 'wallet', 'backup', copy)).toMatchObject({
      code: 0,
      out: expect.stringContaining(out.trim()),
    })
    expect(await at(other, 'wallet', 'restore', copy)).toMatchObject({ code: 0 })
    expect((await at(other, 'wallet', 'address')).out).toBe(out)
    expect(await at(home, 'wallet', 'backup', '/nowhere/at/all')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/cannot write \/nowhere/),
    })
    const replaced = await at(fresh(), 'wallet', 'restore', copy, '--json')
    expect(JSON.parse(replaced.out)).toMatchObject({ type: 'restored', address: out.trim(), made: true })
  })

  test.each([
    [['wallet', 'send', 'x', '1'], 2, /'x' is no address/],
    [['wallet', 'send', addressOf(keysOf(9).publicKey), 'abc'], 2, /'abc' is no amount/],
    [['wallet', 'send', addressOf(keysOf(9).publicKey), '0'], 2, /0 credits are nothing/],
    [['wallet', 'send', addressOf(keysOf(9).publicKey), '-1'], 2, /'-1' is no amount/],
    [['wallet', 'send', addressOf(keysOf(9).publicKey), `${2n ** 200n}`], 2, /more than there can be/],
    [['wallet', 'send', addressOf(keysOf(9).publicKey)], 2, /missing required argument 'amount'/],
    [
      ['wallet', 'send', addressOf(keysOf(9).publicKey), '1'],
      2,
      /not sent: an account that it names has not been opened/,
    ],
    [['wallet', 'send', addressOf(keysOf(2).publicKey), '1'], 2, /not sent: sender and receiver are one account/],
    [['wallet', 'balance', keysOf(9).publicKey], 2, /checksum of 8 digits is missing/],
    [['wallet', 'history', '--limit', '0'], 2, /--limit must be a whole number from 1 to 1000/],
    [['wallet', 'history', '--before', '12'], 2, /--before must be HEIGHT\/INDEX/],
    [['wallet', 'backup', '/nowhere/at/all'], 2, /there is no wallet in .*: see --home; chorale wallet address/],
    [['wallet', 'frobnicate'], 2, /unknown command/],
  ])('%j: exit code %d', async (args, code, line) => {
    await using b = await bench()
    const result = await b.chorale(...args, '--home', fresh())
    expect(result).toMatchObject({ code, out: '', err: expect.stringMatching(line) })
    expect(result.err.trimEnd().split('\n')).toHaveLength(1)
    expect(b.host.books.ledger.state.height).toBeLessThan(2)
  })

  test.each([['balance'], ['history'], ['send', addressOf(keysOf(9).publicKey), '1']])(
    'wallet %s without a node says how to start one',
    async (...args) => {
      const result = await at(fresh(), 'wallet', ...args)
      expect(result).toMatchObject({ code: 3, out: '', err: expect.stringMatching(/start one with chorale up -d/) })
    },
  )

  test('a payment moves, is seen in both histories, and what cannot be paid is refused', async () => {
    await using b = await bench()
    const { books } = b.host
    const ben = books.walletOf(keysOf(3), keysOf(4))
    const options = { signal: new AbortController().signal }
    await ben.settleIn(options)
    const to = addressOf(ben.account)
    const json = async (...args: string[]) => {
      const { out, err, code } = await b.chorale(...args, '--json')
      expect({ code, err }).toEqual({ code: 0, err: '' })
      return out
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    }
    const [before] = await json('wallet', 'balance')
    expect(before).toMatchObject({ type: 'balance', free: '0', granted: '50000', total: '50000', opened: true })
    expect(before.address).toBe(addressOf(books.wallet.account))
    const early = await b.chorale('wallet', 'send', to, '1')
    expect(early).toMatchObject({
      code: 7,
      err: expect.stringMatching(/not sent: there are enough credits, but they were granted/),
    })
    expect(await b.chorale('wallet', 'send', to, '51')).toMatchObject({
      code: 7,
      err: expect.stringMatching(/not enough/),
    })

    const account = books.ledger.state.accounts.get(books.wallet.account)!
    const freed = { ...account, free: account.granted, granted: 0n as never }
    books.ledger.state = {
      ...books.ledger.state,
      accounts: books.ledger.state.accounts.set(books.wallet.account, freed),
    }
    const sent = await b.chorale('wallet', 'send', to, '1.5')
    expect(sent).toMatchObject({ code: 0, out: `sent 1.5 credits to ${to}\n` })
    expect(sent.err).toMatch(/final in block 5; its receipt: chorale receipt show 5\/0/)
    expect((await json('wallet', 'balance'))[0]).toMatchObject({ total: '48500' })
    expect((await json('wallet', 'balance', to))[0]).toMatchObject({ free: '1500', granted: '50000' })
    expect((await b.chorale('wallet', 'balance', '-q')).out).toBe('48.5\n')
    const people = await b.chorale('wallet', 'balance')
    expect(people.out).toMatch(/^balance {4}48\.5 credits\n {2}free {5}48\.5 credits, which may go anywhere\n/)

    const history = await json('wallet', 'history')
    expect(history.map(({ action, result, free }) => [action.kind, result, free])).toEqual([
      ['transfer', 'applied', '-1500'],
      ['transfer', 'insufficient', '0'],
      ['transfer', 'granted-only', '0'],
    ])
    expect(history[0]).toMatchObject({
      v: 1,
      type: 'entry',
      height: 5,
      index: 0,
      action: { amount: '1500', to: ben.account },
    })
    expect((await json('wallet', 'history', '--before', '5/0')).map(({ height }) => height)).toEqual([4, 3])
    const text = (await b.chorale('wallet', 'history', '--limit', '1')).out
    expect(text).toBe(`2026-01-02 03:04:05 UTC  5/0  -1.5  1.5 credits to ${ben.account.slice(0, 12)}\n`)
    const theirs = (await b.chorale('wallet', 'history', to)).out
    expect(theirs).toMatch(/5\/0 {2}\+1\.5 {2}1\.5 credits from /)
    expect(theirs).toMatch(/account opened\n/)
  })

  test('an account that is not there is empty, and a history too', async () => {
    await using b = await bench()
    const nobody = addressOf(keysOf(9).publicKey)
    const balance = await b.chorale('wallet', 'balance', nobody)
    expect(balance).toMatchObject({ code: 0, err: expect.stringMatching(/nobody has opened this account/) })
    expect(JSON.parse((await b.chorale('wallet', 'balance', nobody, '--json')).out)).toMatchObject({
      opened: false,
      height: null,
    })
    expect(await b.chorale('wallet', 'history')).toMatchObject({ code: 0, out: '', err: 'nothing yet\n' })
    expect(await b.chorale('receipt', 'list')).toMatchObject({ code: 0, out: '', err: 'no receipts yet\n' })
  })

  test('a payment that is not final in time may still come in, and the line says so', async () => {
    await using b = await bench()
    b.host.books.ledger.trouble.push({ error: new InDoubt(), after: true })
    const late = await b.chorale('wallet', 'send', addressOf(keysOf(2).publicKey), '1')
    expect(late).toMatchObject({
      code: 8,
      out: '',
      err: expect.stringMatching(/may still come in: look at chorale wallet history/),
    })
    b.host.books.ledger.before.push(async ({ signal }) => {
      await ended(signal)
      throw new InDoubt()
    })
    const never = await b.chorale('wallet', 'send', addressOf(keysOf(2).publicKey), '1', '--timeout', '20ms')
    expect(never).toMatchObject({ code: 8, err: expect.stringMatching(/may still come in/) })
  })
})

test('a home that another program made is not taken for one', async () => {
  const home = fresh()
  mkdirSync(home)
  writeFileSync(join(home, 'letters.txt'), '')
  expect(await runCli(['wallet', 'address', '--home', home])).toMatchObject({
    code: 2,
    err: expect.stringMatching(/holds other files/),
  })
})
