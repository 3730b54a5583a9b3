/** The public library: start a host in this process, and give it jobs. */

export type { Logger } from './core/env.ts'
export { ChoraleError, type ErrorCode } from './core/errors.ts'
export type { JobRequest, JobState, Jobs, JobView, Json } from './mapreduce/types.ts'
export { type Host, type HostOptions, type HostStatus, type PeerView, startHost } from './node.ts'
