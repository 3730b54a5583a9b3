/** The filter, run by an interpreter of the few instructions that it has. */
import { expect, test } from 'vitest'
import { seccompFilter } from '../../../src/mapreduce/sandbox/seccomp.ts'

const ARCH = { x64: 0xc000003e, arm64: 0xc00000b7 } as const
const KILL = 0x80000000
const ALLOW = 0x7fff0000
const [EPERM, ENOSYS] = [0x50001, 0x50026]

function verdict(program: Uint8Array, number: number, arch: number, argument = 0): number {
  const bytes = Buffer.from(program)
  const data = new Map([
    [0, number],
    [4, arch],
    [16, argument],
  ])
  let value = 0
  for (let at = 0; ; at++) {
    const [code, yes, no, k] = [
      bytes.readUInt16LE(at * 8),
      bytes[at * 8 + 2]!,
      bytes[at * 8 + 3]!,
      bytes.readUInt32LE(at * 8 + 4),
    ]
    if (code === 0x20) value = data.get(k)!
    else if (code === 0x15) at += value === k ? yes : no
    else if (code === 0x35) at += value >= k ? yes : no
    else if (code === 0x45) at += (value & k) !== 0 ? yes : no
    else if (code === 0x06) return k
    else throw new Error(`instruction ${code}`)
  }
}

test.each([
  [
    'x64',
    { read: 0, mmap: 9, execve: 59, exit_group: 231 },
    { socket: 41, ptrace: 101, ioperm: 173, io_uring_setup: 425 },
  ],
  ['arm64', { read: 63, mmap: 222, execve: 221, exit_group: 94 }, { socket: 198, ptrace: 117, kexec_file_load: 294 }],
] as const)('on %s: what is allowed and what is not', (arch, allowed, denied) => {
  const filter = seccompFilter(arch)!
  for (const [name, number] of Object.entries(allowed))
    expect([name, verdict(filter, number, ARCH[arch])]).toEqual([name, ALLOW])
  for (const [name, number] of Object.entries(denied))
    expect([name, verdict(filter, number, ARCH[arch])]).toEqual([name, EPERM])
  const clone = arch === 'x64' ? 56 : 220
  expect(verdict(filter, clone, ARCH[arch], 0x3d0f00)).toBe(ALLOW) // a thread
  expect(verdict(filter, clone, ARCH[arch], 17)).toBe(EPERM) // a process
  expect(verdict(filter, clone, ARCH[arch], 0x10000000 | 17)).toBe(EPERM) // in a user namespace
  expect(verdict(filter, 435, ARCH[arch])).toBe(ENOSYS)
  expect(verdict(filter, 0x40000000 + 1, ARCH[arch])).toBe(KILL)
  expect(verdict(filter, 0, ARCH[arch === 'x64' ? 'arm64' : 'x64'])).toBe(KILL)
})

test('there is none for other machines', () => {
  expect(seccompFilter('riscv64')).toBeUndefined()
})
