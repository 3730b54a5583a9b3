/**
 * Whose code a host takes (SANDBOX: Levels). What a host runs for its own user it runs at either level; strangers' code
 * needs more. Pure.
 */
import type { Level } from './command.ts'

export interface SandboxState {
  /** `none`: this machine cannot run foreign code at all. */
  readonly level: Level | 'none'
  /** Why not `os`. */
  readonly why?: string
  /** What code of other people runs here. */
  readonly strangers: 'any' | 'webassembly' | 'none'
}

export interface AdmissionOptions {
  /** JavaScript of strangers also at level `process`. */
  readonly allowNative?: boolean | undefined
  /** The host runs as root, and its user has not said that it may lend so. */
  readonly asRoot?: boolean | undefined
}

export type CodeKind = 'js' | 'wasm'

export function stateOf(
  { level, why }: { readonly level: Level | 'none'; readonly why: string | undefined },
  { allowNative, asRoot }: AdmissionOptions,
): SandboxState {
  const strangers = level === 'none' || asRoot ? 'none' : level === 'os' || allowNative ? 'any' : 'webassembly'
  return { level, ...(why !== undefined && { why }), strangers }
}

/** Why code is not run here; undefined: it is. `own`: it was submitted through this host. */
export function refusalOf(state: SandboxState, code: CodeKind, own: boolean): string | undefined {
  const { level, why, strangers } = state
  if (level === 'none') return `foreign code cannot be run here: ${why}`
  if (own || strangers === 'any' || (strangers === 'webassembly' && code === 'wasm')) return undefined
  if (strangers === 'none') return 'a node that runs as root takes no code of others without --lend-as-root'
  return `a node at level process takes no JavaScript of others without --allow-native (${why ?? 'as it was asked to'})`
}
