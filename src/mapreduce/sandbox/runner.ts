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

interface Init {
  readonly heapMb: number
  /** Stack traces, to find the line of an error: what a job sees of them is no part of a result. */
  readonly stacks: boolean
  /** Of the body; what follows is the job's module. */
  readonly preludeBytes: number
}

/** The prelude's function that calls the job's. */
type Call = ivm.Reference<(name: string, bytes: ArrayBuffer) => unknown>

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
  const message = error instanceof Error ? error.message : ''
  return message.slice(0, MAX_MESSAGE) || 'no message'
}

/** The call that is at work. */
let current: unknown

function note(task: unknown, said: unknown): void {
  send({ op: 'note', id: current, task, said })
}

async function init({ heapMb, stacks, preludeBytes }: Init, body: Uint8Array): Promise<Call> {
  const isolate = new isolated.Isolate({ memoryLimit: heapMb, onCatastrophicError: end })
  const context = await isolate.createContext()
  const decoder = new TextDecoder()
  const prelude = decoder.decode(body.subarray(0, preludeBytes))
  const guest = await context.evalClosure(
    `${prelude}\nreturn __prelude.start($0, $1)`,
    [stacks, new isolated.Callback(note)],
    {
      filename: 'chorale:prelude',
      result: { reference: true },
    },
  )
  const take = await guest.get('take', { reference: true })
  const call = await guest.get('call', { reference: true })
  const code = body.subarray(preludeBytes)
  if (WASM.every((byte, i) => code[i] === byte)) {
    await take.apply(undefined, [copied(code)])
    return call
  }
  const module = await isolate.compileModule(decoder.decode(code), { filename: 'job' })
  await module.instantiate(context, (specifier: string) => {
    throw new Error(`a job is one module, it cannot import ${specifier.slice(0, 100)}`)
  })
  await module.evaluate()
  const job = await module.namespace.get('default', { reference: true })
  await take.apply(undefined, [job.derefInto()])
  return call
}

/** Bytes that go into the isolate. */
function copied(bytes: Uint8Array) {
  const own = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer
  return new isolated.ExternalCopy(own, { transferOut: true }).copyInto({ release: true, transferIn: true })
}

let call: Call | undefined

async function onFrame({ head, body }: Frame): Promise<void> {
  const id = head.id as number
  current = id
  try {
    if (head.op === 'init') {
      call = await init(head as unknown as Init, body)
      send({ op: 'done', id })
      return
    }
    const input = [head.name as string, copied(body)] as const
    const answer: unknown = await call?.apply(undefined, [...input], { result: { copy: true } })
    if (answer instanceof ArrayBuffer) send({ op: 'done', id }, new Uint8Array(answer))
    else {
      // `kind message`: the text of an error that the prelude caught.
      const [kind, ...words] = String(answer).slice(0, MAX_MESSAGE).split(' ')
      send({ op: 'failed', id, kind, message: words.join(' ') })
    }
  } catch (error) {
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
