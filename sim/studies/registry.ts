/** The studies that there are, in the order of the page. One more is one line. Each is loaded when it is needed. */
import type { Study } from './study.ts'

export interface StudyModule {
  readonly study: Study
}

export type Registry = Readonly<Record<string, () => Promise<StudyModule>>>

export const STUDIES: Registry = {
  chordreduce: () => import('./chordreduce.ts'),
  dgvh: () => import('./dgvh.ts'),
  delivery: () => import('./delivery.ts'),
  convergence: () => import('./convergence.ts'),
  underlay: () => import('./underlay.ts'),
  urdht: () => import('./urdht.ts'),
  balance: () => import('./balance.ts'),
  sybil: () => import('./sybil.ts'),
  strategies: () => import('./strategies.ts'),
  verification: () => import('./verification.ts'),
  market: () => import('./market.ts'),
}
