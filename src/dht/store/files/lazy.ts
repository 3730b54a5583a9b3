/**
 * Files whose code is loaded at their first use: the importer and what it needs take some 50 MB of a process that may
 * never see a file.
 */
import type { Blocks } from '../../blocks.ts'
import type { Files } from './files.ts'

export type FileService = Pick<Files, keyof Files>

export function lazyFiles(blocks: Pick<Blocks, 'put' | 'get'>): FileService {
  let loading: Promise<FileService> | undefined
  const load = () =>
    (loading ??= import('./files.ts').then(
      ({ Files }) => new Files(blocks),
      (error) => {
        loading = undefined // out of memory or file handles, perhaps: the next call may have more luck
        throw error
      },
    ))
  return {
    addFile: async (...args) => (await load()).addFile(...args),
    addTree: async (...args) => (await load()).addTree(...args),
    async *cat(...args) {
      yield* (await load()).cat(...args)
    },
    resolve: async (...args) => (await load()).resolve(...args),
    async *ls(...args) {
      yield* (await load()).ls(...args)
    },
    async *walk(...args) {
      yield* (await load()).walk(...args)
    },
    async *exportCar(...args) {
      yield* (await load()).exportCar(...args)
    },
    importCar: async (...args) => (await load()).importCar(...args),
    async *blocksOf(...args) {
      yield* (await load()).blocksOf(...args)
    },
    async *leavesOf(...args) {
      yield* (await load()).leavesOf(...args)
    },
    join: async (...args) => (await load()).join(...args),
  }
}
