/** How a node keeps in the code of others, and which it takes, in a line for people. */
import type { HostStatus } from '../node.ts'

type State = NonNullable<HostStatus['lend']['sandbox']>

export function sandboxLine({ level, why, strangers }: State): string {
  if (level === 'none') return `none runs here: ${why}`
  const how = `level ${level}${why === undefined ? '' : ` (${why})`}`
  if (strangers === 'any') return `${how}, of anybody`
  if (strangers === 'webassembly') return `${how}, of others WebAssembly only; --allow-native takes JavaScript too`
  return `${how}, your own only, as this is root; --lend-as-root takes that of others`
}
