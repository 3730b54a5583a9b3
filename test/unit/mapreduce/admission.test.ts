/** Whose code a host takes (SANDBOX: Levels), and how it knows its own user's jobs. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../../src/core/random.ts'
import { isOwnJob, ownNonce } from '../../../src/mapreduce/own-job.ts'
import { refusalOf, stateOf } from '../../../src/mapreduce/sandbox/admission.ts'
import type { JobSpec } from '../../../src/mapreduce/spec.ts'
import { generateHostKey, signerOf, verifySignature } from '../../../src/net/host-key.ts'

const os = { level: 'os', why: undefined } as const
const process = { level: 'process', why: 'bubblewrap is not installed' } as const
const none = { level: 'none', why: 'no build for this machine' } as const

test.each([
  // machine, options, what strangers may bring: JavaScript, WebAssembly; what its own user may
  [os, {}, true, true, true],
  [os, { asRoot: true }, false, false, true],
  [process, {}, false, true, true],
  [process, { allowNative: true }, true, true, true],
  [process, { allowNative: true, asRoot: true }, false, false, true],
  [none, { allowNative: true }, false, false, false],
])('%j with %j', (machine, options, js, wasm, own) => {
  const state = stateOf(machine, options)
  expect(refusalOf(state, 'js', false) === undefined).toBe(js)
  expect(refusalOf(state, 'wasm', false) === undefined).toBe(wasm)
  expect(refusalOf(state, 'js', true) === undefined).toBe(own)
})

test('a refusal says what to type, and why', () => {
  expect(refusalOf(stateOf(process, {}), 'js', false)).toMatch(/--allow-native \(bubblewrap is not installed\)/)
  expect(refusalOf(stateOf(os, { asRoot: true }), 'js', false)).toMatch(/root .* --lend-as-root/)
  expect(refusalOf(stateOf(none, {}), 'js', true)).toMatch(/no build for this machine/)
})

test('a host knows its own jobs by a mark that nobody else can make', async () => {
  const signer = async () => {
    const key = await generateHostKey()
    return { peer: key.peer, sign: signerOf(key), verify: verifySignature }
  }
  const [mine, theirs] = [await signer(), await signer()]
  const spec = { submitter: mine.peer, module: 'a', nonce: ownNonce(mine, 'a', seededRandom(1)) } as JobSpec
  expect(spec.nonce).toMatch(/^[0-9a-f]{32}$/)
  expect(isOwnJob(mine, spec)).toBe(true)
  expect(isOwnJob(theirs, spec)).toBe(false)
  // Who names another as submitter, or takes the mark of one job for other code.
  expect(isOwnJob(mine, { ...spec, nonce: ownNonce(theirs, 'a', seededRandom(1)) })).toBe(false)
  expect(isOwnJob(mine, { ...spec, module: 'b' })).toBe(false)
  expect(ownNonce(mine, 'a', seededRandom(2))).not.toBe(spec.nonce)
})
