/** The public library: start a host in this process, keep files with it, and give it jobs. */

export type { Logger } from './core/env.ts'
export { ChoraleError, type ErrorCode } from './core/errors.ts'
export type { BlockHolder, BlockOptions, BlockStat, Blocks, PutOptions } from './dht/blocks.ts'
export { type Codec, cidOf, parseCid } from './dht/cid.ts'
export type { Added, AddOptions, Progress, TreeSource } from './dht/store/files/add.ts'
export type { CarOptions, Imported } from './dht/store/files/car.ts'
export type { CatOptions } from './dht/store/files/cat.ts'
export type { Entry, ReadOptions, TreeEntry } from './dht/store/files/directory.ts'
export type { Files, Ref } from './dht/store/files/files.ts'
export type { PublishOptions } from './dht/store/records.ts'
export type { JobRequest, JobState, Jobs, JobView, Json } from './mapreduce/types.ts'
export {
  type Advice,
  type FileService,
  type Host,
  type HostLending,
  type HostOptions,
  type HostStatus,
  type PeerView,
  type Pin,
  type SignedRecord,
  type StoreView,
  type SybilAnalysis,
  type SybilReport,
  startHost,
} from './node.ts'
