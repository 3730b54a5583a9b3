/**
 * Where the tasks of a job would go: to the owners of its segments, which keep them until they are done. Others may take
 * tasks from there, and another submission has other segments; so this is a picture, not a promise.
 */
import type { Key } from '../core/ids.ts'
import type { Contact } from '../net/contact.ts'
import type { JobsHost } from './host.ts'
import type { StoredFile } from './ports.ts'
import { segmentCount, taskCount } from './segments.ts'
import { encodeSpec, type JobSpec, jobIdOf, segmentKey } from './spec.ts'
import { surveyHosts } from './survey.ts'
import type { JobPlacement } from './types.ts'

/** Segments that are looked up; of more the first ones, which lie as scattered as any. */
const MAX_LOOKED_UP = 256
const LANES = 16

/** Rejects with `limit` as a submission would, with `no-route` when no owner was found, and with `aborted`. */
export async function placeOf(
  host: JobsHost,
  spec: JobSpec,
  file: StoredFile | undefined,
  signal: AbortSignal,
): Promise<JobPlacement> {
  const id = jobIdOf(encodeSpec(spec))
  const { input } = spec
  const keyOf = (index: number) => (file && input ? file.keyOf(index * input.taskBlocks) : segmentKey(id, 1, index))
  const segments = segmentCount(spec, 1)
  const sampled = Math.min(segments, MAX_LOOKED_UP)
  const tasks = new Map<string, { contact: Contact; tasks: number }>()
  let found = 0
  let failed: unknown
  let next = 0
  const lane = async () => {
    for (let i = next++; i < sampled && !signal.aborted; i = next++) {
      try {
        const contact = await ownerOf(host, keyOf(i), signal)
        const known = tasks.get(contact.peer) ?? { contact, tasks: 0 }
        known.tasks += taskCount(spec, 1, i)
        tasks.set(contact.peer, known)
        found++
      } catch (error) {
        failed = error
      }
    }
  }
  const survey = surveyHosts(host)
  await Promise.all(Array.from({ length: Math.min(LANES, sampled) }, lane))
  signal.throwIfAborted()
  if (found === 0) throw failed
  const standing = await survey
  const lenders = standing.filter(({ cores }) => cores > 0)
  return {
    segments,
    sampled: found,
    hosts: [...tasks.values()]
      .sort((a, b) => b.tasks - a.tasks || (a.contact.id < b.contact.id ? -1 : 1))
      .map(({ contact: { peer, ip, port }, tasks }) => ({
        peer,
        address: ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`,
        tasks,
      })),
    lending: {
      asked: standing.length,
      hosts: lenders.length,
      cores: lenders.reduce((sum, { cores }) => sum + cores, 0),
      busy: lenders.reduce((sum, { busy, cores }) => sum + Math.min(busy, cores), 0),
    },
  }
}

async function ownerOf(host: JobsHost, key: Key, signal: AbortSignal): Promise<Contact> {
  const { overlay } = host
  return overlay.self && overlay.owns(key) ? overlay.self : (await overlay.lookup(key, { signal })).owner
}
