/** The part of a node's settings that makes a network, and how it is said to others. */

export const NETWORK_DEFAULTS = {
  network: 'private',
  space: 'ring',
  placement: 'ip-port',
  successors: 4,
  replicas: 3,
} as const

interface Shape {
  readonly network: string
  readonly space: string
  readonly placement: string
  readonly successors: number
  readonly replicas: number
}

/** What others have to say to be of the same network. */
export function networkFlags({ network, space, placement, successors, replicas }: Shape): string {
  return [
    network !== NETWORK_DEFAULTS.network && `--network ${network}`,
    space !== NETWORK_DEFAULTS.space && `--space ${space}`,
    placement !== NETWORK_DEFAULTS.placement && `--placement ${placement}`,
    space === 'ring' && successors !== NETWORK_DEFAULTS.successors && `--successors ${successors}`,
    replicas !== NETWORK_DEFAULTS.replicas && `--replicas ${replicas}`,
  ]
    .flatMap((flag) => (flag ? ` ${flag}` : []))
    .join('')
}
