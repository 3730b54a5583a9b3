/**
 * The spaces by name: `ring`, `symmetric`, `torus2`, `cube3`, ... To add one, write its file in `spaces/` and its line
 * here; the property suite in the tests takes it up by itself.
 */
import { ChoraleError } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import { type Exact, exactInBall, exactInCube, exactOnTorus } from './exact.ts'
import type { Space } from './space.ts'
import { digitsOf } from './spaces/coordinates.ts'
import { cube } from './spaces/cube.ts'
import { hyperbolic } from './spaces/hyperbolic.ts'
import { ring } from './spaces/ring.ts'
import { torus } from './spaces/torus.ts'
import { xor } from './spaces/xor.ts'

export interface NamedSpace {
  /** As on the command line: `torus2`. */
  readonly name: string
  /** 1 to 16; what the numbers of peers, 3d + 1 and (3d + 1)^2, are made of. */
  readonly dimensions: number
  readonly space: Space
  /** May a running overlay use it? The others serve the studies. */
  readonly live: boolean
  /** Where known, and up to 5 dimensions: beyond, a cell has hundreds of neighbours. */
  readonly exact?: Exact | undefined
}

interface Family {
  readonly name: string
  /** Undefined: there is only one, and its name has no number. */
  readonly dimensions?: readonly [from: number, to: number]
  readonly live: (dimensions: number) => boolean
  readonly space: (dimensions: number) => Space
  readonly exact?: (dimensions: number) => Exact
}

const few = (dimensions: number) => dimensions >= 2 && dimensions <= 5
const never = () => false

const FAMILIES: readonly Family[] = [
  { name: 'ring', live: never, space: () => ring },
  { name: 'symmetric', live: never, space: () => torus(1), exact: exactOnTorus },
  { name: 'torus', dimensions: [1, 16], live: few, space: torus, exact: exactOnTorus },
  { name: 'cube', dimensions: [1, 16], live: few, space: cube, exact: exactInCube },
  { name: 'hyperbolic', dimensions: [2, 5], live: never, space: hyperbolic, exact: exactInBall },
  { name: 'xor', live: never, space: () => xor },
]

/** For people: `ring, symmetric, torus1..16, ...`. */
export const SPACES: string = FAMILIES.map(({ name, dimensions }) =>
  dimensions === undefined ? name : `${name}${dimensions[0]}..${dimensions[1]}`,
).join(', ')

/** Throws `usage` with the list of spaces when there is none of that name. */
export function spaceNamed(text: string): NamedSpace {
  const [, name, digits] = /^([a-z]+)(\d*)$/.exec(text) ?? []
  const family = FAMILIES.find((each) => each.name === name)
  if (family === undefined) throw new ChoraleError('usage', `there is no space '${text}'; there are ${SPACES}`)
  if (family.dimensions === undefined) {
    if (digits !== '')
      throw new ChoraleError('usage', `the space ${family.name} takes no number of dimensions: '${text}'`)
    return named(family, text, 1)
  }
  const [from, to] = family.dimensions
  const dimensions = Number(digits)
  if (digits === '' || digits?.startsWith('0') || dimensions < from || dimensions > to) {
    const range = `a ${family.name} has ${from} to ${to} dimensions, as in ${family.name}${Math.max(2, from)}`
    throw new ChoraleError('usage', `there is no space '${text}': ${range}`)
  }
  return named(family, text, dimensions)
}

/**
 * The same space where the digits of a key are dealt to the coordinates in turn, instead of cut into runs: what fixes the
 * first digits of an id (placement `ip-prefix`) then fixes a spot of the space, and not a stripe across it.
 */
export function dealt(named: NamedSpace): NamedSpace {
  const { dimensions, space } = named
  const runs = digitsOf(dimensions)
  const order = Array.from({ length: runs * dimensions }, (_, i) => Math.floor(i / runs) + (i % runs) * dimensions)
  const deal = (key: Key) => order.map((at) => key[at]).join('') as Key
  return { ...named, space: { ...space, pointOf: (key) => space.pointOf(deal(key)) } }
}

function named({ space, live, exact }: Family, name: string, dimensions: number): NamedSpace {
  return {
    name,
    dimensions,
    space: space(dimensions),
    live: live(dimensions),
    exact: dimensions <= 5 ? exact?.(dimensions) : undefined,
  }
}
