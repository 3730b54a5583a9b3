/**
 * Scenario `consensus`: every state that a committee of four with one liar can reach within a few views, judged
 * (`sim/ledger/consensus-model.ts`), for every way in which liar and honest members may take turns as leaders.
 */
import { type ConsensusFault, type ConsensusModelResult, checkConsensus } from '../ledger/consensus-model.ts'

export interface ConsensusScenario {
  views: number
  fault?: ConsensusFault | undefined
}

export interface ConsensusScenarioResult extends Omit<ConsensusModelResult, 'locals'> {
  /** States by the leaders of the views: h is an honest one, L the liar. */
  byLeaders: Record<string, number>
}

const MEMBERS = 'hhhL'

export function runConsensusModel(
  { views, fault }: ConsensusScenario,
  onProgress?: (line: string) => void,
): ConsensusScenarioResult {
  const total: ConsensusScenarioResult = {
    states: 0,
    transitions: 0,
    final: 0,
    violations: 0,
    byLeaders: {},
    example: undefined,
  }
  for (let leader = 0; leader < MEMBERS.length; leader++) {
    const leaders = Array.from({ length: views }, (_, i) => MEMBERS[(leader + i) % MEMBERS.length]).join('')
    if (leaders in total.byLeaders) continue
    const result = checkConsensus({
      views,
      leader,
      fault,
      onProgress: (states, transitions) =>
        onProgress?.(`${leaders}: ${states} states seen, ${transitions} transitions`),
    })
    total.byLeaders[leaders] = result.states
    total.states += result.states
    total.transitions += result.transitions
    total.final += result.final
    total.violations += result.violations
    total.example ??= result.example
    if (fault !== undefined && result.violations > 0) break
  }
  return total
}
