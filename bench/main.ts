/**
 * `npm run bench -- NAME [options]`: runs one measurement, each in a file of its own that says what it measures and
 * against what. Figures and the commands that made them are in bench/README.md.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const BENCHES: Readonly<Record<string, string>> = {
  lookup: 'lookups per second on 100 nodes, against hyperdht and kad-dht   --nodes 100 --seconds 10 --only NAME',
  tasks: 'tasks that do nothing, per second, on real processes            --nodes 4 --tasks 10000 --runs 3 --sandbox',
  pi: 'a pi job on 2 nodes of one core each, against plain Node',
  sandbox: 'the kernel of pi in a sandbox, against plain Node               --seconds 3',
  wordcount: 'words of a stored file counted on 4 nodes, against plain Node   --bytes 200MB --runs 3 --only sandbox',
  kill: 'half of the processes killed during a job                       --nodes 32 --kill 16 --runs 10 --only wordcount --space torus2',
  memory: 'resident memory of idle nodes, and of its parts                 --nodes 32',
  rpc: 'requests per second over one connection, of one or of 100       --hosts 100 --requests 20000',
  bulk: 'blocks per second over one connection, against a plain stream   --seconds 5',
  put: 'a file added to 4 nodes, 3 replicas, against a plain stream       --bytes 1GiB --nodes 4',
  get: 'the same file read from a node that does not hold all of it      --bytes 1GiB --nodes 4',
  smallput: 'blocks of 1 KiB put and got, 64 in flight, against hyperdht     --nodes 4 --seconds 10',
  ledger: 'operations a second made final by 7 members on loopback        --members 7 --clients 12 --seconds 10',
  'ledger-kill': 'members of a ledger killed again and again, some and then all    --members 7 --kill 2 --rounds 20',
  'ledger-state': 'memory and snapshot of a ledger with a million accounts    --accounts 1000000',
  paid: 'a pi job that is bought and tested, against the same job free  --nodes 4 --lenders 1 --seconds 30 --runs 3 --verify sample',
  auction: 'a round of the market over a book of 100,000 offers           --offers 100000 --runs 5',
  receipt: 'receipts checked offline, and a chain of 365 epochs            --members 7 --epochs 365 --runs 11',
}

const [name, ...args] = process.argv.slice(2)
if (name === undefined || name === '--help' || name === '-h') {
  console.log('npm run bench -- NAME [options] [--json]\n')
  for (const [known, about] of Object.entries(BENCHES)) console.log(`  ${known.padEnd(12)} ${about}`)
} else {
  const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url))
  if (name in BENCHES && existsSync(file)) {
    const measurement = spawn(process.execPath, [file, ...args], { stdio: 'inherit' })
    process.on('SIGINT', () => {}) // a terminal tells both
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => measurement.kill(signal))
    const [code] = await once(measurement, 'exit')
    process.exitCode = (code as number | null) ?? 1
  } else {
    console.error(`bench: no measurement '${name}': one of ${Object.keys(BENCHES).join(', ')}`)
    process.exitCode = 2
  }
}
