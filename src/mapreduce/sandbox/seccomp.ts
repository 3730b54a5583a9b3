/**
 * The system calls that a process with foreign code may not make, as a filter program for the kernel (classic BPF,
 * seccomp(2)); bubblewrap installs it. A deny list: what reaches into other processes, into the kernel's less trodden
 * parts, or out of the namespaces. A new process is one of them, a new thread is not; `clone3`, whose flags cannot be
 * looked at, is said not to exist, so that the C library uses `clone`.
 */

/** Numbers by name: on x64, on arm64 (undefined: it has none). */
const DENIED: { readonly [name: string]: readonly [x64: number, arm64: number | undefined] } = {
  socket: [41, 198],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  kcmp: [312, 272],
  pidfd_getfd: [438, 438],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsmount: [432, 432],
  mount_setattr: [442, 442],
  unshare: [272, 97],
  setns: [308, 268],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  acct: [163, 89],
  quotactl: [179, 60],
  swapon: [167, 224],
  swapoff: [168, 225],
  reboot: [169, 142],
  syslog: [103, 116],
  personality: [135, 92],
  fork: [57, undefined],
  vfork: [58, undefined],
  modify_ldt: [154, undefined],
  iopl: [172, undefined],
  ioperm: [173, undefined],
}
const CLONE = { x64: 56, arm64: 220 } as const
const CLONE3 = 435
const CLONE_THREAD = 0x10000

const AUDIT_ARCH = { x64: 0xc000003e, arm64: 0xc00000b7 } as const
/** From here on numbers are of the x32 interface, of which nobody has need. */
const X32 = 0x40000000

const LOAD_WORD = 0x20
const JUMP_EQUAL = 0x15
const JUMP_AT_LEAST = 0x35
const JUMP_SET = 0x45
const RETURN = 0x06
const ALLOW = 0x7fff0000
const KILL_PROCESS = 0x80000000
const ERRNO = 0x00050000
const EPERM = 1
const ENOSYS = 38
/** Offsets in struct seccomp_data. */
const NUMBER = 0
const ARCH = 4
const FIRST_ARGUMENT = 16

/** Eight bytes an instruction; undefined where no numbers are known. */
export function seccompFilter(arch: string = process.arch): Uint8Array | undefined {
  if (arch !== 'x64' && arch !== 'arm64') return undefined
  const numbers = Object.values(DENIED).flatMap(([x64, arm64]) => (arch === 'x64' ? x64 : (arm64 ?? [])))
  const program: [code: number, ifTrue: number, ifFalse: number, value: number][] = [
    [LOAD_WORD, 0, 0, ARCH],
    [JUMP_EQUAL, 1, 0, AUDIT_ARCH[arch]],
    [RETURN, 0, 0, KILL_PROCESS],
    [LOAD_WORD, 0, 0, NUMBER],
    [JUMP_AT_LEAST, 0, 1, X32],
    [RETURN, 0, 0, KILL_PROCESS],
    [JUMP_EQUAL, 0, 1, CLONE3],
    [RETURN, 0, 0, ERRNO | ENOSYS],
    [JUMP_EQUAL, 0, 4, CLONE[arch]],
    [LOAD_WORD, 0, 0, FIRST_ARGUMENT],
    [JUMP_SET, 0, 1, CLONE_THREAD],
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, ERRNO | EPERM],
    // Each jumps over what is left of the list, and over the permission behind it.
    ...numbers.map((number, i): [number, number, number, number] => [JUMP_EQUAL, numbers.length - i, 0, number]),
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, ERRNO | EPERM],
  ]
  const bytes = Buffer.alloc(program.length * 8)
  for (const [i, [code, ifTrue, ifFalse, value]] of program.entries()) {
    bytes.writeUInt16LE(code, i * 8)
    bytes.writeUInt8(ifTrue, i * 8 + 2)
    bytes.writeUInt8(ifFalse, i * 8 + 3)
    bytes.writeUInt32LE(value >>> 0, i * 8 + 4)
  }
  return bytes
}
