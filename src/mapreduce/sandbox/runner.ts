/**
 * The child process that runs the code of one job: an isolate with the prelude and the job's module in it, and calls
 * that come in frames. It is started by `child.ts` with nothing but a pipe, and trusts the isolate with nothing but bytes.
 * Whoever breaks out of the isolate owns this process, so it holds nothing and is taken for hostile by its parent.
 *
 * It may read this file, frames.ts and the addon, and nothing else. It ends with its parent: when its input ends.
 */
import { createRequire } from 'node:module'
import type ivm from 'isolated-vm'
import { encodeFrame, type Frame, FrameReader } from './frames.ts'

const MAX_INPUT_BYTES = 64 * 1024 * 1024
const MAX_MESSAGE = 2000
/** How a module of WebAssembly begins. */
const WASM = [0x00, 0x61, 0x73, 0x6d]

/** How often it is told which task it is at, for those that take long. */
const STEP_MS = 250

/** What the prelude gives: functions that harden the realm, take the job's code and call it. */
interface Guest {
  readonly isolate: ivm.Isolate
  readonly context: ivm.Context
  readonly harden: ivm.Reference<(stacks: boolean) => void>
  readonly take: ivm.Reference<(job: unknown) => void>
  readonly call: ivm.Reference<(name: string, bytes: ArrayBuffer) => unknown>
}

const isolated = (createRequire(import.meta.url)(process.argv[2] as string) as { ivm: typeof ivm }).ivm

/** Not `process.exit`, which an isolate that is at work would hold up. */
function end(): never {
  process.kill(process.pid, 'SIGKILL')
  throw new Error('unreachable')
}

function send(head: Frame['head'], body?: Uint8Array): void {
  process.stdout.write(encodeFrame(head, body))
}

function text(error: unknown): string {
  if (!(error instanceof Error)) return 'no message'
  const where = /\n\s+at [^\n]*job:\d+:\d+\)?/.exec(error.stack ?? '')?.[0] ?? ''
  return error.message.slice(0, MAX_MESSAGE - 200) + where.slice(0, 200) || 'no message'
}

/** An isolate with the prelude in it and no code of a job. */
async function start(heapMb: number, prelude: Uint8Array): Promise<Guest> {
  const isolate = new isolated.Isolate({ memoryLimit: heapMb, onCatastrophicError: end })
  const context = await isolate.createContext()
  const guest = await context.evalClosure(
    `${new TextDecoder().decode(prelude)}\nreturn __prelude.start($0, $1, $2)`,
    [new isolated.Callback(onStep, { ignored: true }), new isolated.Callback(note), new isolated.Callback(decode)],
    { filename: 'chorale:prelude', result: { reference: true } },
  )
  const functionOf = (name: string) => guest.get(name, { reference: true })
  const [harden, take, call] = [await functionOf('harden'), await functionOf('take'), await functionOf('call')]
  return { isolate, context, harden, take, call }
}

/** `stacks`: stack traces, to find the line of an error; what a job sees of them is no part of a result. */
async function load({ isolate, context, harden, take }: Guest, code: Uint8Array, stacks: boolean): Promise<void> {
  await harden.apply(undefined, [stacks])
  if (WASM.every((byte, i) => code[i] === byte)) {
    await take.apply(undefined, [moved(code)])
    return
  }
  const module = await isolate.compileModule(new TextDecoder().decode(code), { filename: 'job' })
  await module.instantiate(context, (specifier: string) => {
    throw new Error(`a job is one module, it cannot import ${specifier.slice(0, 100)}`)
  })
  await module.evaluate()
  const job = await module.namespace.get('default', { reference: true })
  await take.apply(undefined, [job.derefInto()])
}

/** The body of a frame moves into the isolate: its bytes are its own. */
function moved({ buffer }: Uint8Array) {
  return new isolated.ExternalCopy(buffer as ArrayBuffer, { transferOut: true }).copyInto({
    release: true,
    transferIn: true,
  })
}

let guest: Guest | undefined
let current = 0
let step = 0
let telling: NodeJS.Timeout | undefined

function note(task: unknown, said: unknown): void {
  send({ op: 'note', id: current, task, said })
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** An isolate has no decoder of its own, and what it can do without takes long. */
function decode(bytes: ArrayBuffer): string {
  return decoder.decode(bytes)
}

/** In a run of short tasks nothing is told. */
function onStep(): void {
  step++
  telling ??= setTimeout(() => {
    telling = undefined
    send({ op: 'at', id: current, step })
  }, STEP_MS)
}

function quiet(): void {
  clearTimeout(telling)
  telling = undefined
}

async function onFrame({ head, body }: Frame): Promise<void> {
  const id = head.id as number
  quiet()
  current = id
  step = 0
  try {
    let answer: unknown
    if (head.op === 'start') guest = await start(head.heapMb as number, body)
    else if (head.op === 'load') await load(guest as Guest, body, head.stacks === true)
    else {
      const input = [head.name as string, moved(body)] as const
      answer = await guest?.call.apply(undefined, [...input], { result: { copy: true } })
    }
    quiet()
    if (answer === undefined) send({ op: 'done', id })
    else if (answer instanceof ArrayBuffer) send({ op: 'done', id }, new Uint8Array(answer))
    else {
      // `kind message`: the text of an error that the prelude caught.
      const [kind, ...words] = String(answer).slice(0, MAX_MESSAGE).split(' ')
      send({ op: 'failed', id, kind, message: words.join(' ') })
    }
  } catch (error) {
    quiet()
    const message = text(error)
    const kind = /memory limit|Array buffer allocation failed/.test(message) ? 'memory' : 'user-code'
    send({ op: 'failed', id, kind, message })
  }
}

const reader = new FrameReader(MAX_INPUT_BYTES)
let queue = Promise.resolve()
process.stdin.on('data', (piece: Buffer) => {
  for (const frame of reader.push(piece)) queue = queue.then(() => onFrame(frame))
})
process.stdin.on('end', end)
process.stdin.on('error', end)
process.stdout.on('error', end)
process.on('uncaughtException', end)
send({ op: 'up' })
