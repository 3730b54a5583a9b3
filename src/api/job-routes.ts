/** The routes of jobs (routes.ts), at the node's end. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Type } from 'typebox'
import { encode } from '../core/cbor.ts'
import { type Checker, checker } from '../core/codec.ts'
import { ChoraleError } from '../core/errors.ts'
import { MAX_JOB_TASKS, MAX_PARTITIONS, MAX_TASK_BLOCKS } from '../core/limits.ts'
import type { JobRequest, Jobs, PlannedJob } from '../mapreduce/types.ts'
import { parse } from './parse.ts'
import { readJson, sendJson, sendLines } from './streams.ts'

const strict = { additionalProperties: false }
/** What a job is asked for by. */
export const requestFields = {
  module: Type.String({ minLength: 1, maxLength: 256 }),
  params: Type.Record(Type.String({ maxLength: 128 }), Type.Unknown()),
  seed: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  input: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
}
const jobBody: Checker<JobRequest> = checker(Type.Unsafe<JobRequest>(Type.Object(requestFields, strict)))
const retryBody = checker(Type.Object({ asOwn: Type.Optional(Type.Boolean()) }, strict))
const placementBody: Checker<PlannedJob> = checker(
  Type.Unsafe<PlannedJob>(
    Type.Object(
      {
        request: Type.Object(requestFields, strict),
        plan: Type.Object(
          {
            params: requestFields.params,
            name: Type.String({ minLength: 1, maxLength: 64 }),
            tasks: Type.Integer({ minimum: 1, maximum: MAX_JOB_TASKS }),
            engine: Type.String({ minLength: 1, maxLength: 64 }),
            input: Type.Optional(
              Type.Object(
                {
                  as: Type.Union([Type.Literal('bytes'), Type.Literal('lines')]),
                  taskBlocks: Type.Integer({ minimum: 1, maximum: MAX_TASK_BLOCKS }),
                },
                strict,
              ),
            ),
            partitions: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_PARTITIONS })),
            rounds: Type.Optional(Type.Literal(true)),
          },
          strict,
        ),
      },
      strict,
    ),
  ),
)

export interface JobCall {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** `METHOD noun`, and what follows: `/ID`, `/ID/verb`. */
  readonly route: string
  /** As the client wrote it. */
  readonly id: string
  readonly query: URLSearchParams
  readonly signal: AbortSignal
}

/** False: there is no such route. */
export async function answerJobs(
  jobs: Jobs,
  { request, response, route, id, query, signal }: JobCall,
): Promise<boolean> {
  const answer = (value: unknown) => {
    sendJson(response, 200, value)
    return true
  }
  switch (route) {
    case 'POST jobs':
      return answer(await jobs.submit(parse(jobBody, await readJson(request)), { signal }))
    case 'GET jobs':
      return answer(await jobs.list())
    case 'GET jobs/ID': {
      const view = await jobs.show(await resolveJobId(jobs, id), { signal })
      if (!view) throw noSuchJob(id)
      return answer(view)
    }
    case 'GET jobs/ID/spec': {
      const spec = await jobs.spec(await resolveJobId(jobs, id), { signal })
      if (!spec) throw noSuchJob(id)
      return answer({ spec: Buffer.from(encode(spec)).toString('base64') })
    }
    case 'POST jobs/ID/cancel':
      return answer(await jobs.cancel(await resolveJobId(jobs, id)))
    case 'GET jobs/ID/own':
      return answer({ own: await jobs.isOwn(await resolveJobId(jobs, id), { signal }) })
    case 'POST jobs/ID/retry': {
      const { asOwn } = parse(retryBody, await readJson(request))
      return answer(await jobs.retry(await resolveJobId(jobs, id), { signal, ...(asOwn && { asOwn }) }))
    }
    case 'GET jobs/ID/watch': {
      const full = await known(jobs, id, signal)
      await sendLines(response, jobs.watch(full, { signal }))
      return true
    }
    case 'GET jobs/ID/logs': {
      const full = await known(jobs, id, signal)
      const options = { task: taskOf(query.get('task')), follow: query.get('follow') === '1', signal }
      await sendLines(response, jobs.logs(full, options))
      return true
    }
    case 'POST placements':
      return answer(await jobs.place(parse(placementBody, await readJson(request)), { signal }))
    default:
      return false
  }
}

/** The full id of a job that somebody knows. */
async function known(jobs: Jobs, id: string, signal: AbortSignal): Promise<string> {
  const full = await resolveJobId(jobs, id)
  if (!(await jobs.show(full, { signal }))) throw noSuchJob(id)
  return full
}

/** The full id for a unique prefix among the jobs that this node knows; a full id is passed on as it is. */
export async function resolveJobId(jobs: Jobs, text: string): Promise<string> {
  if (!/^[a-z0-9]{1,128}$/.test(text)) throw new ChoraleError('usage', `not a job id: ${JSON.stringify(text)}`)
  const matches = (await jobs.list()).map(({ id }) => id).filter((id) => id.startsWith(text))
  if (matches.includes(text)) return text
  if (matches.length > 1) throw new ChoraleError('usage', `job id ${text} fits ${matches.length} jobs: give more of it`)
  if (matches[0] !== undefined) return matches[0]
  if (!/^b[a-z2-7]{58}$/.test(text)) throw noSuchJob(text)
  return text // maybe a job that others know
}

function taskOf(text: string | null): number | undefined {
  if (text === null) return undefined
  const task = /^\d{1,8}$/.test(text) ? Number(text) : MAX_JOB_TASKS
  if (task >= MAX_JOB_TASKS) throw new ChoraleError('usage', `not a task number: ${JSON.stringify(text)}`)
  return task
}

function noSuchJob(id: string): ChoraleError {
  return new ChoraleError('not-found', `nobody knows a job ${id}: chorale job list shows those that this node knows`)
}
