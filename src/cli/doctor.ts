/** `chorale doctor`: what could keep a node from running well on this machine, and what to do about it. */
import { mkdtempSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { freemem, networkInterfaces, tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { Command } from 'commander'
import { ChoraleError, errorCode, errorMessage } from '../core/errors.ts'
import { inspectHome } from '../home.ts'
import { homeError } from '../home-files.ts'
import type { HostStatus } from '../node.ts'
import type { Cli } from './cli.ts'
import { EXIT } from './exit.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { type Endpoint, endpoint, formatEndpoint } from './values.ts'

export interface Finding {
  readonly check: string
  /** `warn`: it works, but not as well as it could. */
  readonly level: 'ok' | 'warn' | 'bad'
  readonly message: string
}

/** What an idle node is allowed to take, and a little for a job. */
const NODE_MEMORY_BYTES = 256 * 2 ** 20
const MIN_DISK_BYTES = 64 * 2 ** 20
/** This program did not exist before. */
const EARLIEST_MS = Date.UTC(2025, 0, 1)
const LATEST_MS = Date.UTC(2100, 0, 1)
/** Two clocks of one machine, or a file's time against ours. */
const CLOCK_SLACK_MS = 2000

export function doctorCommand(cli: Cli): Command {
  return new Command('doctor')
    .description('check this machine: version, home, memory, clock, listening, reachability, sandbox')
    .option('-l, --listen <addr>', 'the address to try to listen on', endpoint('--listen', { anyPort: true }))
    .addHelpText(
      'after',
      examples('chorale doctor', '', 'chorale doctor --listen 192.168.1.5:4001', 'can I listen there?'),
    )
    .action(cli.action(({ listen }: { listen?: Endpoint }) => doctor(cli, listen)))
}

async function doctor(cli: Cli, listen: Endpoint | undefined): Promise<number> {
  const status = await runningNode(cli)
  const findings = [
    checkVersion(process.version),
    checkHome(cli.flags.home),
    checkMemory(freemem(), totalmem()),
    checkClock(cli.flags.home, Date.now()),
    await checkListening(listen ?? { ip: '127.0.0.1', port: 0 }, status),
    checkReachable(status, cli.at),
    await checkSandbox(),
  ]
  const verdict = findings.some(({ level }) => level === 'bad') ? 'bad' : 'ok'
  const mark = { ok: cli.paint('green', 'ok  '), warn: cli.paint('yellow', 'warn'), bad: cli.paint('red', 'bad ') }
  const text = findings.map(({ check, level, message }) => `${mark[level]}  ${check.padEnd(11)}  ${message}`).join('\n')
  cli.print('doctor', { verdict, findings }, text)
  return verdict === 'ok' ? EXIT.ok : EXIT.internal
}

async function runningNode(cli: Cli): Promise<HostStatus | undefined> {
  try {
    return await (await cli.connect()).status({ signal: cli.signal })
  } catch (error) {
    if (errorCode(error) === 'no-node') return undefined
    throw error
  }
}

export function checkVersion(version: string): Finding {
  const [major = 0, minor = 0] = version.slice(1).split('.').map(Number)
  const good = major > 24 || (major === 24 && minor >= 12)
  const message = good ? `Node ${version}` : `Node ${version} is too old: 24.12 or later is needed`
  return { check: 'version', level: good ? 'ok' : 'bad', message }
}

async function checkSandbox(): Promise<Finding> {
  const check = 'sandbox'
  try {
    const { inspectSandbox } = await import('../job-file.ts')
    const { level, why } = await inspectSandbox()
    const root = process.getuid?.() === 0 ? '; as root a node takes that of others with --lend-as-root only' : ''
    if (why === undefined) return { check, level: 'ok', message: `foreign code runs at level ${level}${root}` }
    return { check, level: 'warn', message: `foreign code runs at level ${level} only: ${why}${root}` }
  } catch (error) {
    return { check, level: 'warn', message: `jobs of people's own cannot run here: ${errorMessage(error)}` }
  }
}

function checkHome(home: string): Finding {
  const check = 'home'
  try {
    const view = inspectHome(home)
    const inside = view ? home : nearestDirectory(home)
    const trial = mkdtempSync(join(inside, '.chorale-doctor-'))
    rmSync(trial, { recursive: true })
    const { bavail, bsize } = statfsSync(inside)
    const free = `${format.bytes(bavail * bsize)} free`
    if (bavail * bsize < MIN_DISK_BYTES)
      return { check, level: 'bad', message: `${home}: only ${free}: free some space` }
    return { check, level: 'ok', message: `${home} can be ${view ? 'written' : 'created'}, ${free}` }
  } catch (error) {
    return { check, level: 'bad', message: homeError(home, error).message }
  }
}

function nearestDirectory(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found || dirname(path) === path) return path
  return nearestDirectory(dirname(path))
}

export function checkMemory(free: number, total: number): Finding {
  const message = `${format.bytes(free)} of ${format.bytes(total)} free`
  if (free >= NODE_MEMORY_BYTES) return { check: 'memory', level: 'ok', message }
  return { check: 'memory', level: 'warn', message: `${message}: a node may need ${format.bytes(NODE_MEMORY_BYTES)}` }
}

function checkClock(home: string, nowMs: number): Finding {
  const bad = (message: string): Finding => ({
    check: 'clock',
    level: 'bad',
    message: `${message}: set the clock, best by NTP`,
  })
  if (nowMs < EARLIEST_MS || nowMs > LATEST_MS) return bad(`it says ${format.instant(nowMs)}`)
  try {
    const last = inspectHome(home)?.incarnation ?? 0
    if (last > nowMs + CLOCK_SLACK_MS) return bad(`it was set back: this node has started at ${format.instant(last)}`)
    const file = join(mkdtempSync(join(tmpdir(), 'chorale-clock-')), 'now')
    writeFileSync(file, '')
    const skewMs = Math.abs(statSync(file).mtimeMs - nowMs)
    rmSync(dirname(file), { recursive: true })
    if (skewMs > CLOCK_SLACK_MS) return bad(`it differs from the disk's by ${format.span(skewMs)}`)
  } catch {
    // the home's own check tells about it
  }
  return { check: 'clock', level: 'ok', message: format.instant(nowMs) }
}

/** Opens a port and calls it. A node that runs has shown already that it can. */
async function checkListening({ ip, port }: Endpoint, status: HostStatus | undefined): Promise<Finding> {
  const check = 'listening'
  if (status?.address && (port === 0 || port === status.address.port)) {
    return { check, level: 'ok', message: `the running node does, at ${formatEndpoint(status.address)}` }
  }
  const server = createServer((socket) => socket.end())
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: ip, port }, resolve)
    })
    const bound = server.address()
    if (bound === null || typeof bound === 'string') throw new ChoraleError('internal', 'no port')
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ host: ip, port: bound.port, timeout: 2000 }, resolve)
      socket.once('error', reject)
      socket.once('timeout', () => reject(new Error('no connection within 2 s: is there a firewall?')))
      socket.once('connect', () => socket.end())
    })
    return { check, level: 'ok', message: `${ip} accepts connections` }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    const remedy =
      code === 'EADDRINUSE'
        ? 'another program has that port: choose another'
        : code === 'EADDRNOTAVAIL'
          ? `not an address of this machine; it has ${ownAddresses().join(', ')}`
          : errorMessage(error)
    return { check, level: 'bad', message: `${formatEndpoint({ ip, port })}: ${remedy}` }
  } finally {
    server.close()
  }
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((cards) => (cards ?? []).map(({ address }) => address))
}

function checkReachable(status: HostStatus | undefined, at: string): Finding {
  const check = 'reachable'
  if (!status) {
    return {
      check,
      level: 'warn',
      message: `no node is running, so nobody can call back: start one with chorale up -d${at}`,
    }
  }
  if (!status.address) {
    const message =
      'no node could call back: it submits and follows jobs only; forward its port, or --listen on an address that others reach'
    return { check, level: 'warn', message }
  }
  const { ring } = status
  const around =
    ring.overlay === 'chord' ? ring.nodes.map((node) => node.successors) : ring.nodes.map((node) => node.short)
  const others = around.flat().some(({ peer }) => peer !== status.peer)
  const where = formatEndpoint(status.address)
  const message = others ? `other nodes call back at ${where}` : `${where}; no other node has joined yet to prove it`
  return { check, level: 'ok', message }
}
