/**
 * A host's home directory: what makes it the same host after a restart (DESIGN 4). Mode 0700, and one host at a time.
 *
 *   format     version of this layout, a number. A newer one is refused, an older one migrated (DESIGN 12)
 *   key        the host key in libp2p's form (net/host-key.ts), base64, mode 0600
 *   host.json  incarnation of the last start, peer id and port to keep
 *   peers.json the network that the host was in, and the addresses of its last neighbours there
 *   pins.json  the files that this host keeps alive in its network (dht/store/pins.ts)
 *   wallet     the key of the account that the host works for, mode 0600 (ledger-wallet.ts)
 *   genesis    the beginning of the ledger that the host is in (ledger-genesis.ts)
 *   ledger/    its chain, and what this host has said in the committee (market/ledger/)
 *   lending.json what the host lends and when, and how fast the machine is (lend-file.ts)
 *   payments.json what this host's jobs owe (ledger-journal.ts)
 *   blocks/    the blocks that it keeps for others and itself (dht/store/disk/)
 *   pid        the running host: process id, then what tells this process from a later one with the same id. It is the
 *              lock of the home
 *   api        where the control socket is, when it cannot be in the home itself
 *   api.sock   control socket (api/)
 *   node.log   log of a host in the background, and of the start before it node.log.1
 *
 * All calls are synchronous: they happen at start and stop only.
 */
import { randomInt } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { ChoraleError } from './core/errors.ts'
import { guarded, makeDirectory, readText, systemCode, writeAtomically } from './home-files.ts'

export const HOME_FORMAT = 1
/** `sun_path` is 104 bytes on macOS and 108 on Linux, the closing zero included. */
export const MAX_SOCKET_PATH_BYTES = 103

export interface Home {
  readonly path: string
  /** Grows with every start, across clocks that were set back. */
  readonly incarnation: number
  /** Kept so that a restart has the same place in the ring; 0: none yet. */
  readonly port: number
  /** The host key; undefined in a new home. */
  readonly key: Uint8Array | undefined
  keepKey(key: Uint8Array): void
  keepPlace(place: { readonly peer: string; readonly port: number }): void
  /** Where the neighbours in this network were, for a restart that is given nobody to join. */
  peersOf(network: string): readonly string[]
  /** Losing it costs little, so a full disk is not an error here. */
  keepPeers(network: string, addresses: readonly string[]): void
  /** What the host keeps alive. Throws `config` when it is damaged. */
  pins(): readonly HomePin[]
  keepPins(pins: readonly HomePin[]): void
  /** Gives the home free for another start. */
  close(): void
}

export interface HomePin {
  readonly cid: string
  readonly pinnedAtMs: number
  readonly refreshedAtMs: number
}

/** What a home holds, for who only looks. */
export interface HomeView {
  /** Empty before the first start is complete. */
  readonly peer: string
  readonly port: number
  readonly incarnation: number
  /** The process that runs in it. */
  readonly pid: number | undefined
}

/** `CHORALE_HOME`, else where the platform keeps data of applications. */
export function defaultHome(
  variables: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
  user: string = homedir(),
): string {
  if (variables.CHORALE_HOME) return resolve(variables.CHORALE_HOME)
  if (platform === 'darwin') return join(user, 'Library', 'Application Support', 'chorale')
  if (platform === 'win32') return join(variables.LOCALAPPDATA || join(user, 'AppData', 'Local'), 'chorale')
  return join(variables.XDG_DATA_HOME || join(user, '.local', 'share'), 'chorale')
}

/**
 * Opens a home for a host that starts now: creates or migrates it, locks it, and counts the incarnation up.
 * Throws `config` when the home cannot be used or another host runs in it, `io` when the disk fails.
 */
export function openHome(path: string, nowMs: number): Home {
  return guarded(path, () => {
    prepare(path)
    const unlock = lock(path)
    try {
      const state = readState(path)
      const incarnation = Math.max(state.incarnation + 1, nowMs)
      const save = (place: { peer: string; port: number }) =>
        writeAtomically(
          join(path, 'host.json'),
          `${JSON.stringify({ incarnation, peer: place.peer, port: place.port })}\n`,
        )
      save(state) // before anybody can see this start, or a crash would let two starts share a number
      return {
        path,
        incarnation,
        port: state.port,
        key: readKey(path),
        keepKey: (key) =>
          guarded(path, () => writeAtomically(join(path, 'key'), `${Buffer.from(key).toString('base64')}\n`)),
        keepPlace: (place) => guarded(path, () => save(place)),
        peersOf: (network) => readPeers(path, network),
        keepPeers(network, addresses) {
          try {
            writeAtomically(join(path, 'peers.json'), `${JSON.stringify({ network, addresses })}\n`)
          } catch {
            // the next change tries again
          }
        },
        pins: () => guarded(path, () => readPins(path)),
        keepPins: (pins) =>
          guarded(path, () => writeAtomically(join(path, 'pins.json'), `${JSON.stringify({ pins })}\n`)),
        close() {
          removeSocket(path)
          unlock()
        },
      }
    } catch (error) {
      unlock()
      throw error
    }
  })
}

/** Looks without opening. `undefined` when there is no home yet. */
export function inspectHome(path: string): HomeView | undefined {
  return guarded(path, () => {
    if (checkFormat(path) === undefined) return undefined
    const holder = readPid(path)
    return { ...readState(path), pid: holder && isAlive(holder) ? holder.pid : undefined }
  })
}

/** The host key of a home, whether a host runs in it or not; undefined when there is no home or no key yet. */
export function keyIn(path: string): Uint8Array | undefined {
  return guarded(path, () => (checkFormat(path) === undefined ? undefined : readKey(path)))
}

/** Where the control socket of the host in this home is. */
export function findSocket(path: string): string {
  return readText(join(path, 'api'))?.trim() || join(path, 'api.sock')
}

/** Deletes a home whose host is dead, and its socket wherever that is. */
export function removeHome(path: string): void {
  removeSocket(path)
  rmSync(path, { recursive: true, force: true, maxRetries: 3 })
}

/**
 * Deletes a home in which no host has ever had a place, as a first start that failed leaves it. Spares all others, and
 * every wallet.
 */
export function removeUnusedHome(path: string): void {
  const view = inspectHome(path)
  if (view && view.peer === '' && view.pid === undefined && !existsSync(join(path, 'wallet'))) removeHome(path)
}

/** Creates the directory if need be, and checks that it is a home of a format that we know. */
export function prepareHome(path: string): void {
  guarded(path, () => prepare(path))
}

function prepare(path: string): void {
  makeDirectory(path)
  const fresh = checkFormat(path) === undefined
  // Somebody's own directory must not lose its mode, or the temporary directory of a whole machine.
  if (fresh && readdirSync(path).some((name) => !name.startsWith('format.'))) {
    throw new ChoraleError(
      'config',
      `${path} holds other files and is not a home of chorale: choose an empty or new directory with --home DIR`,
    )
  }
  if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o700)
  if (fresh) writeAtomically(join(path, 'format'), `${HOME_FORMAT}\n`)
}

function checkFormat(path: string): number | undefined {
  const text = readText(join(path, 'format'))
  if (text === undefined) return undefined
  const format = /^\d{1,9}\n?$/.test(text) ? Number(text) : Number.NaN
  // Format 1 is the first one: there is nothing older to migrate.
  if (format === HOME_FORMAT) return format
  if (format > HOME_FORMAT) {
    throw new ChoraleError(
      'config',
      `home ${path} has format ${format}, this version of chorale knows ${HOME_FORMAT}: update chorale, or choose another home with --home DIR`,
    )
  }
  throw new ChoraleError(
    'config',
    `home ${path} has an unreadable format file: choose another home with --home DIR, or remove ${join(path, 'format')}`,
  )
}

function readKey(path: string): Uint8Array | undefined {
  const text = readText(join(path, 'key'))?.trim()
  if (text === undefined) return undefined
  if (/^[A-Za-z0-9+/]{8,}={0,2}$/.test(text)) return new Uint8Array(Buffer.from(text, 'base64'))
  throw new ChoraleError(
    'config',
    `the host key ${join(path, 'key')} is damaged: restore it from a copy, or remove it to become a new host`,
  )
}

function readState(path: string): { incarnation: number; peer: string; port: number } {
  const file = join(path, 'host.json')
  const text = readText(file)
  if (text === undefined) return { incarnation: 0, peer: '', port: 0 }
  try {
    const { incarnation, peer, port } = JSON.parse(text) as Record<string, unknown>
    if (Number.isSafeInteger(incarnation) && typeof peer === 'string' && Number.isInteger(port)) {
      return { incarnation: incarnation as number, peer, port: port as number }
    }
  } catch {
    // falls through to the error below
  }
  // Not forgiven in silence: a lower incarnation than the last one would make the host look dead to its neighbours.
  throw new ChoraleError('config', `${file} is damaged: remove it and start again`)
}

/** Nothing, when it cannot be read: others can be asked for. */
function readPeers(path: string, network: string): readonly string[] {
  try {
    const kept = JSON.parse(readText(join(path, 'peers.json')) ?? '{}') as Record<string, unknown>
    if (kept.network !== network || !Array.isArray(kept.addresses)) return []
    return kept.addresses.filter((address) => typeof address === 'string')
  } catch {
    return []
  }
}

/** Not forgiven in silence: what is pinned would be forgotten. */
function readPins(path: string): readonly HomePin[] {
  const file = join(path, 'pins.json')
  const text = readText(file)
  if (text === undefined) return []
  try {
    const { pins } = JSON.parse(text) as Record<string, unknown>
    const isPin = (pin: HomePin) =>
      typeof pin?.cid === 'string' && Number.isFinite(pin.pinnedAtMs) && Number.isFinite(pin.refreshedAtMs)
    if (Array.isArray(pins) && pins.every(isPin)) return pins
  } catch {
    // falls through to the error below
  }
  throw new ChoraleError('config', `${file} is damaged: restore it from a copy, or remove it and pin anew`)
}

// --- the lock ---

interface Pid {
  readonly pid: number
  readonly token: string
}

/** Takes the pid file, or the place of a dead holder. Returns the release. */
function lock(path: string): () => void {
  const file = join(path, 'pid')
  const mine: Pid = { pid: process.pid, token: processToken(process.pid) }
  const text = `${mine.pid}\n${mine.token}\n`
  const draft = join(path, `pid.${process.pid}.${randomInt(2 ** 32)}`)
  writeFileSync(draft, text, { mode: 0o600 })
  try {
    for (let attempt = 0; attempt < 5; attempt++) {
      try {
        linkSync(draft, file) // appears with its content, and only if there is none
        return () => {
          if (readText(file) === text) rmSync(file, { force: true })
        }
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error
      }
      const holder = readPid(path)
      if (holder && isAlive(holder)) {
        throw new ChoraleError(
          'config',
          `home ${path} is in use by process ${holder.pid}: choose another with --home DIR, or stop it with chorale down`,
        )
      }
      // Two starters may both see a dead holder. Moving the file away shows which one took what.
      const stale = `${draft}.stale`
      try {
        renameSync(file, stale)
      } catch (error) {
        if (systemCode(error) === 'ENOENT') continue
        throw error
      }
      const moved = parsePid(readText(stale))
      if (moved && isAlive(moved)) {
        try {
          linkSync(stale, file)
        } catch {
          // a third one has it by now
        }
      }
      unlinkSync(stale)
    }
    throw new ChoraleError('config', `home ${path} is being opened by several processes: try again`)
  } finally {
    rmSync(draft, { force: true })
  }
}

function readPid(path: string): Pid | undefined {
  return parsePid(readText(join(path, 'pid')))
}

function parsePid(text: string | undefined): Pid | undefined {
  const match = /^(\d{1,10})\n(.*)\n$/.exec(text ?? '')
  return match ? { pid: Number(match[1]), token: match[2] as string } : undefined
}

function isAlive(holder: Pid): boolean {
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    return systemCode(error) === 'EPERM'
  }
  const token = processToken(holder.pid)
  return token === '' || holder.token === '' || token === holder.token
}

/** Tells a process from a later one with the same id: boot and start time on Linux; empty where it is not known. */
function processToken(pid: number): string {
  const stat = readText(`/proc/${pid}/stat`)
  const boot = readText('/proc/sys/kernel/random/boot_id')
  if (!stat || !boot) return ''
  // The name in parentheses may hold spaces; the start time is field 22, the 20th after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields[0] === 'Z' || fields[0] === 'X') return 'dead'
  return `${boot.trim()} ${fields[19]}`
}

// --- the control socket ---

/** Where the host that holds this home may create its control socket; the directory is private. */
export function placeSocket(path: string): string {
  return guarded(path, () => choosePlace(path))
}

function choosePlace(path: string): string {
  removeSocket(path)
  const inside = join(path, 'api.sock')
  if (Buffer.byteLength(inside) <= MAX_SOCKET_PATH_BYTES) return inside
  const base = process.env.XDG_RUNTIME_DIR || tmpdir()
  const place = (root: string) => join(mkdtempSync(join(root, 'chorale-')), 'api.sock') // mode 0700
  // 20: '/chorale-XXXXXX/api.sock' and a little more
  const outside = place(Buffer.byteLength(base) + 30 <= MAX_SOCKET_PATH_BYTES ? base : '/tmp')
  writeAtomically(join(path, 'api'), `${outside}\n`)
  return outside
}

/** Removes the socket, and the directory that was made for it. */
function removeSocket(path: string): void {
  const recorded = readText(join(path, 'api'))?.trim()
  rmSync(join(path, 'api.sock'), { force: true })
  rmSync(join(path, 'api'), { force: true })
  if (recorded && /[/\\]chorale-[^/\\]+[/\\]api\.sock$/.test(recorded)) {
    rmSync(dirname(recorded), { recursive: true, force: true })
  }
}
