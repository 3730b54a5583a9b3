/** Scenario `model`: every state that a small ring can reach, judged (`sim/model.ts`). */
import { checkModel, type Fault, type ModelResult } from '../model.ts'

export interface ModelScenario {
  ids: number
  r: number
  fault?: Fault | undefined
}

export function runModel(options: ModelScenario, onProgress?: (line: string) => void): ModelResult {
  return checkModel({
    ...options,
    onProgress: (states, transitions) => onProgress?.(`${states} states seen, ${transitions} transitions`),
  })
}
