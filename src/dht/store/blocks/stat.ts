/** Who has a block: asks its replica group, and whom the owner names beyond it. */
import type { CID } from 'multiformats/cid'
import type { Env } from '../../../core/env.ts'
import type { Key } from '../../../core/ids.ts'
import type { Contact } from '../../../net/contact.ts'
import { formatEndpoint } from '../../../net/endpoint.ts'
import type { ReplyOf } from '../../../net/message.ts'
import type { Transport } from '../../../net/transport.ts'
import type { BlockHolder, BlockStat } from '../../blocks.ts'
import type { Route } from '../../overlay.ts'
import { groupHosts } from '../reconcile.ts'
import { BlockHas } from './messages.ts'

export interface StatParts {
  readonly env: Env
  readonly transport: Transport
  readonly replicas: number
}

type Has = ReplyOf<typeof BlockHas>

/** `own` answers for this host. */
export async function statOf(
  { transport, replicas }: StatParts,
  cid: CID,
  key: Key,
  route: Route,
  own: { has(keys: readonly Key[]): Has },
  signal: AbortSignal | undefined,
): Promise<BlockStat> {
  const ask = async (host: Contact): Promise<Has | undefined> => {
    if (host.peer === transport.peer) return own.has([key])
    try {
      return await transport.request(host, BlockHas, { keys: [key] }, { signal })
    } catch (error) {
      if (signal?.aborted) throw error
      return undefined
    }
  }
  const group = groupHosts(route.replicas, replicas)
  const answers = await Promise.all(group.map(ask))
  const named = new Set(group.map(({ peer }) => peer))
  const spares = groupHosts(answers[0]?.spares ?? [], MAX_SPARES).filter(({ peer }) => !named.has(peer))
  const all = [...group, ...spares]
  answers.push(...(await Promise.all(spares.map(ask))))
  const holders = all.map(
    (host, index): BlockHolder => ({
      peer: host.peer,
      address: formatEndpoint(host),
      role: host.peer === route.owner.peer ? 'owner' : 'replica',
      holds: answers[index] && answers[index].held[0] != null,
      expiresAtMs: answers[index]?.held[0]?.expiresAtMs,
    }),
  )
  const sizeBytes = answers.find((answer) => answer?.held[0])?.held[0]?.sizeBytes
  return { cid, sizeBytes, holders, wanted: replicas }
}

const MAX_SPARES = 8
