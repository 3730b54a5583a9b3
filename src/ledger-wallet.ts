/**
 * Wallets: the key of an account, in the home of a host or in a backup of it. It is apart from the host's key, so that one
 * account may own many hosts, and a host that is lost is not the account.
 *
 *   {"v":1,"wallet":"chorale","account":"64 hex digits","seed":"64 hex digits"}
 *
 * The account follows from the seed, and is there so that damage is found. Whoever can read the file can spend, so one that
 * others may read is refused. It is written whole or not at all, and never over another.
 */
import { randomBytes } from 'node:crypto'
import { linkSync, lstatSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ChoraleError, errorCode, errorMessage } from './core/errors.ts'
import { inspectHome, prepareHome } from './home.ts'
import { guarded, systemCode, writeAtomically } from './home-files.ts'
import { genesisFile } from './ledger-genesis.ts'
import { addressOf } from './market/ledger/address.ts'
import { ed25519KeyPair, SEED_BYTES } from './market/ledger/ed25519.ts'
import type { KeyPair } from './market/ledger/keys.ts'

const MAX_WALLET_BYTES = 4096

export interface WalletFile {
  readonly keys: KeyPair
  readonly file: string
  /** It was not there before. */
  readonly made: boolean
}

export function walletFile(home: string): string {
  return join(home, 'wallet')
}

/**
 * The wallet of a home; makes the home, and one wallet in it, if there is none. Throws `auth` when others may read it, and
 * `config` when it is damaged, or lost: a home that is in a ledger has had one. `anew` makes one all the same.
 */
export function openWallet(home: string, { anew = false }: { readonly anew?: boolean } = {}): WalletFile {
  const file = walletFile(home)
  const known = anew ? guarded(home, () => readWallet(file)) : walletIn(home)
  if (known) return { keys: known, file, made: false }
  prepareHome(home)
  const made = guarded(home, () => create(file, textOf(randomBytes(SEED_BYTES))))
  // Another command may have been faster.
  return { keys: readWallet(file)!, file, made }
}

/** Undefined when there is none yet; throws as `openWallet` does. */
export function walletIn(home: string): KeyPair | undefined {
  const file = walletFile(home)
  const known = guarded(home, () => readWallet(file))
  if (known || !isThere(genesisFile(home))) return known
  // Another one in its place would be another account, with a grant of its own, and nobody would notice.
  const back = 'get it back with chorale wallet restore FILE'
  const anew = 'or begin with a new account by chorale up --new-wallet; what the old one has stays lost then'
  throw new ChoraleError('config', `the wallet ${file} is gone: ${back}, ${anew}`)
}

function readWallet(file: string): KeyPair | undefined {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode
  if (mode === undefined) return undefined
  if ((mode & 0o077) !== 0) {
    throw new ChoraleError('auth', `others may read the wallet ${file}, and spend what it has: chmod 600 ${file}`)
  }
  const text = textIn(file)
  const keys = keysOf(text)
  if (keys) return keys
  throw new ChoraleError(
    'config',
    `the wallet ${file} is damaged: get it back with chorale wallet restore FILE --replace`,
  )
}

/** Copies the wallet of a home into a new file. Throws `usage` when that exists, and `not-found` when there is no wallet. */
export function backupWallet(home: string, file: string): KeyPair {
  const keys = walletIn(home)
  if (!keys) {
    const remedy = 'see --home; chorale wallet address and the first chorale up make one'
    throw new ChoraleError('not-found', `there is no wallet in ${home}, so nothing was copied: ${remedy}`)
  }
  try {
    writeFileSync(file, textIn(walletFile(home)), { flag: 'wx', mode: 0o600, flush: true })
  } catch (error) {
    if (systemCode(error) === 'EEXIST') {
      throw new ChoraleError('usage', `${file} exists: give a name for a new file`, { cause: error })
    }
    throw new ChoraleError('io', `cannot write ${file}: ${errorMessage(error)}`, { cause: error })
  }
  return keys
}

export interface Restored extends WalletFile {
  /** Where the wallet is that was there before, if there was another. */
  readonly before: string | undefined
}

/**
 * Makes a backup the wallet of a home. One that is there already stays unless `replace` is set; then it is kept under another
 * name, for it may be the only copy. Throws `usage` when the backup is none, or another wallet is there, and `auth` when
 * others may read that.
 */
export function restoreWallet(home: string, backup: string, { replace }: { readonly replace: boolean }): Restored {
  const text = textIn(backup)
  const keys = keysOf(text)
  if (!keys)
    throw new ChoraleError('usage', `${backup} is no wallet: give a file that chorale wallet backup has written`)
  const pid = inspectHome(home)?.pid
  if (pid !== undefined) {
    throw new ChoraleError('config', `process ${pid} uses the wallet of ${home}: stop it first, with chorale down`)
  }
  const file = walletFile(home)
  const known = isThere(file) ? knownOrDamaged(file, replace) : undefined
  if (known !== 'damaged' && known?.publicKey === keys.publicKey) return { keys, file, made: false, before: undefined }
  if (known !== undefined && !replace) {
    const there = known === 'damaged' ? 'one' : addressOf(known.publicKey)
    throw new ChoraleError(
      'usage',
      `${home} has another wallet, ${there}: keep it with chorale wallet backup FILE, then add --replace`,
    )
  }
  prepareHome(home)
  return guarded(home, () => {
    const name = known && `${file}.${known === 'damaged' ? 'damaged' : known.publicKey.slice(0, 16)}`
    const before = name && setAside(file, name)
    if (!create(file, textOf(Buffer.from(seedIn(text), 'hex')))) {
      throw new ChoraleError('config', `${home} was given a wallet at the same time: try again`)
    }
    return { keys, file, made: true, before }
  })
}

/** Gives it this name, or with a number after it the first that nothing else has. */
function setAside(file: string, name: string): string {
  for (let count = 1; ; count++) {
    const free = count === 1 ? name : `${name}.${count}`
    if (!linked(file, free) && !isSame(file, free)) continue
    rmSync(file)
    return free
  }
}

function isSame(file: string, other: string): boolean {
  try {
    return readFileSync(file).equals(readFileSync(other))
  } catch {
    return false
  }
}

function isThere(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined
}

/** How a wallet is damaged does not matter to who replaces it. One that others may read is whole: that throws `auth`. */
function knownOrDamaged(file: string, replace: boolean): KeyPair | 'damaged' {
  try {
    return readWallet(file) ?? 'damaged'
  } catch (error) {
    if (replace && errorCode(error) !== 'auth') return 'damaged'
    throw error
  }
}

/** Appears with its content, and only if there is none. False: there is one. */
function create(file: string, text: string): boolean {
  const draft = `${file}.${process.pid}.draft`
  writeAtomically(draft, text)
  try {
    return linked(draft, file)
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Never over another. False: the name is taken. */
function linked(file: string, name: string): boolean {
  try {
    linkSync(file, name)
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw error
  }
}

function textOf(seed: Uint8Array): string {
  const { publicKey } = ed25519KeyPair(seed)
  const fields = { v: 1, wallet: 'chorale', account: publicKey, seed: Buffer.from(seed).toString('hex') }
  return `${JSON.stringify(fields)}\n`
}

function textIn(file: string): string {
  try {
    if (statSync(file).size <= MAX_WALLET_BYTES) return readFileSync(file, 'utf8')
  } catch (error) {
    throw new ChoraleError('io', `cannot read ${file}: ${errorMessage(error)}`, { cause: error })
  }
  return ''
}

/** Undefined when the text is no wallet, or damaged. */
function keysOf(text: string): KeyPair | undefined {
  const seed = seedIn(text)
  const keys = seed === '' ? undefined : ed25519KeyPair(Buffer.from(seed, 'hex'))
  return keys && text.trim() === textOf(Buffer.from(seed, 'hex')).trim() ? keys : undefined
}

/** 64 hex digits; empty when there is none. */
function seedIn(text: string): string {
  return /^\{"v":1,"wallet":"chorale","account":"[0-9a-f]{64}","seed":"([0-9a-f]{64})"\}\n?$/.exec(text)?.[1] ?? ''
}
