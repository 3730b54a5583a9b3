/**
 * The rules of the house, as functions from one source file to the violations in it. `tidy.test.ts` runs them over the
 * repository and shows of each that it catches a planted violation. Code is parsed, so comments and strings never count.
 */
import { basename, dirname, join } from 'node:path/posix'
import { parseSync } from 'vite'

export interface SourceFile {
  /** From the root of the repository, with forward slashes. */
  readonly path: string
  readonly text: string
}

interface Import {
  readonly from: string
  readonly names: readonly string[]
}

interface AstNode {
  readonly type: string
  readonly [field: string]: unknown
}

// --- Import arrows (DESIGN 2) ---

/** Of the ledger: what it offers, and how its addresses, amounts, refusals and receipts are written. */
const LEDGER_FACE = [
  ...['ledger', 'address', 'credits', 'state/refusal', 'receipt/receipt'].map((name) => `src/market/ledger/${name}.ts`),
  'src/market/payments.ts',
]

/** Of lending: how a setting is written, checked and kept, and what is said of offers. */
const LENDING_FACE = ['src/lend-', 'src/market/lending/setting.ts', 'src/market/lending/funnel.ts']

/** Of the market: what it offers, and how its slots and policies are written. */
const MARKET_FACE = ['trading/market', 'offers/price-slot', 'verification/policy'].map(
  (name) => `src/market/${name}.ts`,
)

/** What each part of src may import besides itself. A file's part is the first entry whose prefix fits its path. */
const ARROWS: ReadonlyArray<readonly [prefix: string, mayImport: readonly string[]]> = [
  ['src/core/', []],
  ['src/net/', ['src/core/']],
  ['src/dht/', ['src/net/', 'src/core/']],
  ['src/vhash/', ['src/dht/', 'src/net/', 'src/core/']],
  ['src/mapreduce/', ['src/dht/', 'src/net/', 'src/core/']],
  ['src/market/', ['src/mapreduce/', 'src/dht/', 'src/net/', 'src/core/']],
  ['src/home', ['src/core/']],
  ['src/leaf.ts', ['src/dht/', 'src/net/', 'src/core/']],
  ['src/seeds.ts', ['src/net/', 'src/core/']],
  ['src/overlay-host.ts', ['src/vhash/', 'src/dht/', 'src/net/', 'src/core/']],
  ['src/host-identity.ts', ['src/home', 'src/net/', 'src/core/']],
  ['src/network-settings.ts', ['src/dht/', 'src/net/', 'src/core/']],
  [
    'src/ledger-',
    [
      'src/market/',
      'src/home',
      'src/host-identity.ts',
      'src/network-settings.ts',
      'src/mapreduce/',
      'src/dht/',
      'src/net/',
      'src/core/',
    ],
  ],
  [
    'src/market-',
    [
      'src/market/',
      'src/ledger-host.ts',
      'src/ledger-wallet.ts',
      'src/lend-',
      'src/home',
      'src/mapreduce/',
      'src/dht/',
      'src/net/',
      'src/core/',
    ],
  ],
  ['src/neighbours.ts', ['src/overlay-host.ts', 'src/home', 'src/net/', 'src/core/']],
  ['src/lend-', ['src/market/', 'src/home', 'src/mapreduce/', 'src/core/']],
  ['src/sybil-host.ts', ['src/ledger-', 'src/overlay-host.ts', 'src/market/', 'src/dht/', 'src/net/', 'src/core/']],
  ['src/node.ts', ['src/']],
  ['src/job-', ['src/mapreduce/', 'src/dht/', 'src/core/']],
  [
    'src/api/',
    ['src/node.ts', 'src/home', 'src/mapreduce/types.ts', ...LEDGER_FACE, ...LENDING_FACE, ...MARKET_FACE, 'src/core/'],
  ],
  [
    'src/cli/',
    [
      'src/node.ts',
      'src/job-',
      'src/ledger-',
      'src/home',
      'src/api/',
      'src/mapreduce/types.ts',
      ...LEDGER_FACE,
      ...LENDING_FACE,
      ...MARKET_FACE,
      'src/core/',
    ],
  ],
  ['src/main.ts', ['src/cli/', 'src/core/']],
  ['src/index.ts', ['src/']],
  ['jobs/', ['src/mapreduce/types.ts', 'src/mapreduce/define.ts', 'src/core/']],
  ['sim/', ['src/', 'jobs/']],
  ['bench/', ['src/', 'jobs/', 'sim/']],
  ['scripts/', []],
  ['bin/', []],
  ['test/', ['src/', 'jobs/', 'sim/', 'bench/', 'scripts/']],
]

/** Packages that only the libp2p adapter, and the host's key that it shares, may know. */
const LIBP2P = /^(libp2p|@libp2p\/.*|@chainsafe\/libp2p-.*|@multiformats\/multiaddr.*)$/
const LIBP2P_ADAPTER = /^src\/net\/(libp2p[^/]*|host-key)\.ts$/

function arrowViolations(file: SourceFile, imports: readonly Import[]): string[] {
  const part = ARROWS.find(([prefix]) => file.path.startsWith(prefix))
  if (!part) return isCode(file.path) && file.path.includes('/') ? ['is in no part of the house'] : []
  const allowed = [part[0], ...part[1]]
  const out: string[] = []
  for (const { from } of imports) {
    if (from.startsWith('.')) {
      const target = join(dirname(file.path), from)
      if (!allowed.some((prefix) => target.startsWith(prefix))) out.push(`imports ${target}, against the arrows`)
    } else if (LIBP2P.test(from) && file.path.startsWith('src/') && !LIBP2P_ADAPTER.test(file.path)) {
      out.push(`imports ${from}: only the adapter may`)
    }
  }
  return out
}

// --- Determinism (DESIGN 3) ---

/** The parts of src, and what runs inside it, that must run the same in the simulator as on a machine. */
const PROTOCOL = /^(src\/(core|net|dht|vhash|mapreduce|market)|jobs)\//

/** Protocol parts that touch the machine, each with its reason. */
const AMBIENT: ReadonlyArray<readonly [file: RegExp, why: string]> = [
  [/^src\/core\/system\.ts$/, 'is the real clock and randomness behind Env'],
  [LIBP2P_ADAPTER, 'carries messages over real sockets; the simulator has its own transport'],
  [/^src\/market\/ledger\/chain-db\.ts$/, 'is the real disk behind the chain; the simulator keeps it in memory'],
  [/^src\/dht\/store\/disk\/fs\.ts$/, 'is the real disk behind the disk store; the tests have one that loses power'],
  [/^src\/mapreduce\/(bundle|sandbox\/(guest\/)?[\w-]+)\.ts$/, 'makes and runs foreign code, in processes of its own'],
  [/^src\/mapreduce\/local-store\.ts$/, 'reads the input of a job that runs without an overlay'],
  [/^src\/mapreduce\/executor(-thread)?\.ts$/, 'runs the code of jobs on threads; the simulator has its own executor'],
]

const AMBIENT_GLOBALS = new Set([
  'Date',
  'performance',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'crypto',
  'fetch',
  'Intl',
  'Worker',
  'process',
  'globalThis',
])
const BANNED_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  Math: ['random'],
  AbortSignal: ['timeout', 'any'],
}
const BANNED_PROPERTIES = /^(subtle|localeCompare|toLocale[A-Z]\w*)$/
/** The built-in modules that protocol code may import, and the names in them. */
const PURE_BUILTINS: Readonly<Record<string, RegExp>> = {
  'node:crypto': /^(hash|createHash|createHmac|createPublicKey|createPrivateKey|verify|sign|timingSafeEqual)$/,
  'node:zlib': /Sync$|^crc32$/,
  'node:path/posix': /./,
  'node:net': /^(isIP|SocketAddress|BlockList)/,
}

function determinismViolations(file: SourceFile, imports: readonly Import[], program: AstNode): string[] {
  if (!PROTOCOL.test(file.path) || AMBIENT.some(([pattern]) => pattern.test(file.path))) return []
  const out: string[] = []
  for (const { from, names } of imports) {
    if (!from.startsWith('node:')) continue
    const pure = PURE_BUILTINS[from]
    if (!pure) out.push(`imports ${from}`)
    else for (const name of names) if (!pure.test(name)) out.push(`imports ${name} of ${from}`)
  }
  const own = declaredNames(program)
  visit(program, (node) => {
    const name = node.type === 'Identifier' ? String(node.name) : ''
    if (AMBIENT_GLOBALS.has(name) && !own.has(name)) out.push(`touches ${name}`)
    const member = memberOf(node)
    if (!member) return
    const [object, property] = member
    if (BANNED_MEMBERS[object]?.includes(property)) out.push(`touches ${object}.${property}`)
    else if (BANNED_PROPERTIES.test(property)) out.push(`touches .${property}`)
  })
  return out
}

/** Names that the file gives to things of its own, in any scope: they are not the globals of that name. */
function declaredNames(program: AstNode): Set<string> {
  const names = new Set<string>()
  const declare = (target: unknown) => {
    const { type, name } = (target ?? {}) as Partial<AstNode>
    if (type === 'Identifier') names.add(String(name))
  }
  visit(program, (node) => {
    if (node.type === 'VariableDeclarator' || /^(Function|Class)Declaration$/.test(node.type)) declare(node.id)
    if (/Function/.test(node.type)) for (const param of (node.params ?? []) as unknown[]) declare(param)
    if (/^Import.*Specifier$/.test(node.type)) declare(node.local)
  })
  return names
}

/** `[object, property]` of `a.b`, `a['b']` and each name of `const { b } = a`; the object is '' when it is no name. */
function memberOf(node: AstNode): readonly [string, string] | undefined {
  if (node.type === 'MemberExpression') {
    const object = node.object as AstNode
    const property = node.property as AstNode
    const name = node.computed ? property.value : property.name
    if (typeof name === 'string') return [object.type === 'Identifier' ? String(object.name) : '', name]
  }
  if (node.type === 'VariableDeclarator') {
    const target = node.id as AstNode
    const source = node.init as AstNode | null
    if (target.type !== 'ObjectPattern' || source?.type !== 'Identifier') return undefined
    const banned = BANNED_MEMBERS[String(source.name)]
    for (const property of target.properties as AstNode[]) {
      const key = property.key as AstNode | undefined
      if (banned?.includes(String(key?.name))) return [String(source.name), String(key?.name)]
    }
  }
  return undefined
}

// --- Layout and habits (STYLE) ---

const LONG_LINES = 400
/** Files that were long when the rule came, with their lines. They may only shrink; none may be added. */
const LONG_FILES: Readonly<Record<string, number>> = {}

function layoutViolations({ path, text }: SourceFile, program: AstNode | undefined, longFiles: typeof LONG_FILES) {
  const out: string[] = []
  const stem = basename(path).replace(/\..*$/, '')
  const folders = dirname(path).split('/')
  if ([...folders, stem].some((name) => /^(utils?|helpers?|misc|common)$/.test(name))) {
    out.push('is named after nothing: a file is one noun')
  }
  if (folders.includes('types')) out.push('is in a types folder: types live where they are used')
  if (!program) return out
  const body = program.body as AstNode[]
  const reExports = body.filter((node) => node.type.startsWith('Export') && node.source)
  if (path !== 'src/index.ts' && (stem === 'index' || (body.length > 0 && reExports.length === body.length))) {
    out.push('is a barrel: import from where a thing is')
  }
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  const allowance = longFiles[path]
  if (allowance === undefined && lines > LONG_LINES) out.push(`has ${lines} lines: look again past ${LONG_LINES}`)
  if (allowance !== undefined && lines > allowance) out.push(`has grown from ${allowance} to ${lines} lines`)
  if (allowance !== undefined && lines <= LONG_LINES) out.push('is short now: take it off the list of long files')
  if (!path.startsWith('test/') && !/^(#!.*\n)?\/(\*|\/)/.test(text)) out.push('does not open with what it is')
  return out
}

function habitViolations({ path }: SourceFile, program: AstNode, comments: readonly string[]): string[] {
  const out: string[] = []
  if (path.endsWith('.test.ts')) {
    visit(program, (node) => {
      const member = memberOf(node)
      if (member && /^(only|todo)$/.test(member[1])) out.push(`has a .${member[1]}`)
    })
  }
  for (const comment of comments) if (/\b(TODO|FIXME|XXX)\b/.test(comment)) out.push(`leaves a note: ${comment.trim()}`)
  return out
}

// Spelled so that this file does not name what it looks for.
const MACHINE_PATH = /(?<![\w.:/~-])[/](home|root|Users|work|mnt|tmp|opt|srv)[/]\w/
const REGISTRY_HOST = /\bregistry[.][\w-]+[.]\w+|[/][/][\w.-]*(artifactory|nexus|verdaccio)\b/i

function placeViolations({ text }: SourceFile): string[] {
  const out: string[] = []
  const path = MACHINE_PATH.exec(text)
  if (path) out.push(`names a path of one machine: ${path[0]}`)
  const host = REGISTRY_HOST.exec(text)
  if (host) out.push(`names a registry: ${host[0]}`)
  return out
}

// --- Packages ---

export interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

/** Tools that are run, or that give types, and never imported. */
const TOOLS = new Set(['@biomejs/biome', '@types/node', 'typescript'])

/** Exact versions, nothing unused, nothing undeclared, and nothing of development in what users run. */
export function packageViolations(files: readonly SourceFile[], manifest: Manifest): string[] {
  const out: string[] = []
  const { dependencies, optionalDependencies, devDependencies } = manifest
  for (const [name, version] of Object.entries({ ...dependencies, ...optionalDependencies, ...devDependencies })) {
    if (!/^\d+\.\d+\.\d+$/.test(version)) out.push(`package.json: ${name} is not pinned: ${version}`)
  }
  const unused = new Set([...Object.keys(dependencies), ...Object.keys(devDependencies)].filter((n) => !TOOLS.has(n)))
  for (const file of files.filter(({ path }) => isCode(path))) {
    const shipped = /^(src|jobs|bin)\//.test(file.path)
    for (const { from } of parse(file).imports) {
      if (/^[.#/]|^node:/.test(from)) continue
      const name = from
        .split('/')
        .slice(0, from.startsWith('@') ? 2 : 1)
        .join('/')
      unused.delete(name)
      unused.delete(`@types/${name}`)
      if (!(name in dependencies || name in optionalDependencies) && (shipped || !(name in devDependencies))) {
        out.push(`${file.path}: imports ${name}, which package.json does not ${shipped ? 'give to users' : 'name'}`)
      }
    }
  }
  for (const name of unused) out.push(`package.json: ${name} is used by nobody`)
  return out
}

// --- All of it ---

/** `path: what is wrong`, one per violation. */
export function violations(file: SourceFile, longFiles = LONG_FILES): string[] {
  const out = placeViolations(file)
  if (isCode(file.path)) {
    const { program, imports, comments } = parse(file)
    out.push(...arrowViolations(file, imports), ...determinismViolations(file, imports, program))
    out.push(...layoutViolations(file, program, longFiles), ...habitViolations(file, program, comments))
  } else {
    out.push(...layoutViolations(file, undefined, longFiles))
  }
  return out.map((what) => `${file.path}: ${what}`)
}

export function isCode(path: string): boolean {
  return /\.[jt]s$/.test(path)
}

function parse(file: SourceFile): { program: AstNode; imports: Import[]; comments: string[] } {
  const { program, comments, errors } = parseSync(file.path, file.text)
  if (errors.length > 0) throw new Error(`${file.path}: ${errors[0]?.message}`)
  const root = program as unknown as AstNode
  const imports: Import[] = []
  visit(root, (node) => {
    const source = node.source as AstNode | null | undefined
    if (/^(Import|Export|TSImport)/.test(node.type) && typeof source?.value === 'string') {
      imports.push({ from: source.value, names: importedNames(node) })
    } else if (node.type === 'CallExpression' && isRequire(node.callee as AstNode)) {
      const argument = (node.arguments as AstNode[])[0]
      if (typeof argument?.value === 'string') imports.push({ from: argument.value, names: ['*'] })
    }
  })
  return { program: root, imports, comments: comments.map((comment) => comment.value) }
}

/** `require` or `createRequire(...)`. */
function isRequire(callee: AstNode): boolean {
  const made = callee.type === 'CallExpression' ? (callee.callee as AstNode) : undefined
  return callee.name === 'require' || made?.name === 'createRequire'
}

/** A default or namespace import counts as the name `*`; types cannot do anything and are left out. */
function importedNames(node: AstNode): string[] {
  if (node.importKind === 'type') return []
  if (!Array.isArray(node.specifiers)) return ['*']
  return (node.specifiers as AstNode[])
    .filter((specifier) => specifier.importKind !== 'type')
    .map((specifier) => String((specifier.imported as AstNode | undefined)?.name ?? '*'))
}

/** Every node of the tree, except for names that are only keys (`a.name`, `{ name: 1 }`, `import { name as x }`). */
function visit(node: AstNode, see: (node: AstNode) => void): void {
  see(node)
  for (const [field, value] of Object.entries(node)) {
    if (!node.computed && (field === 'key' || (field === 'property' && node.type === 'MemberExpression'))) continue
    if (field === 'imported' || (field === 'exported' && node.type === 'ExportSpecifier')) continue
    for (const child of Array.isArray(value) ? value : [value]) {
      if (child !== null && typeof child === 'object' && typeof child.type === 'string') visit(child, see)
    }
  }
}
