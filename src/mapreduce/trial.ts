/** The spec of a job that is not submitted, so that one of its tasks can be tried (`Redo`), and what it costs be told. */
import type { Env } from '../core/env.ts'
import { ChoraleError } from '../core/errors.ts'
import { ownNonce } from './own-job.ts'
import type { Executor, JobStore, Signer } from './ports.ts'
import { type JobSpec, specOf } from './spec.ts'
import type { JobRequest } from './types.ts'

export interface TrialPorts {
  readonly env: Env
  readonly executor: Pick<Executor, 'plan'>
  readonly store: Pick<JobStore, 'file'>
  readonly signer: Signer
}

/** As this host's own. Rejects as `Jobs.submit` does of a job that is paid for. */
export async function trialSpec({ env, executor, store, signer }: TrialPorts, request: JobRequest): Promise<JobSpec> {
  const file = request.input === undefined ? undefined : await store.file(request.input)
  const input = file && { cid: file.cid, bytes: file.bytes, blocks: file.blocks }
  const plan = await executor.plan(request.module, request.params, input)
  if (plan.rounds || plan.partitions) {
    throw new ChoraleError(
      'usage',
      'a job of several passes cannot be paid for through the market: submit it without a cap',
    )
  }
  const nonce = ownNonce(signer, request.module, env.random)
  return specOf(request, plan, input, { submitter: signer.peer, nonce, submittedAtMs: Math.floor(env.clock.now()) })
}
