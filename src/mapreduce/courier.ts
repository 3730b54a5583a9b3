/**
 * Batches without a timer: to each node goes one message at a time, and what comes up meanwhile goes with the next. An idle
 * lane adds no delay, a busy one makes bigger messages.
 */
import type { Contact } from '../net/contact.ts'
import type { LiveJob } from './job-table.ts'
import { MAX_ITEMS, MAX_ITEMS_BYTES } from './messages.ts'

interface Parcel<Item> {
  readonly item: Item
  readonly settle: (delivered: boolean) => void
}

/** Sends one batch. Returns which items did not arrive; throwing means none did. */
type Send<Item> = (to: Contact, job: LiveJob, items: Item[]) => Promise<ReadonlySet<Item> | undefined>

export class Courier<Item> {
  readonly #lanes = new Map<string, Parcel<Item>[]>()
  readonly #send: Send<Item>
  readonly #sizeBytes: (item: Item) => number

  constructor(send: Send<Item>, sizeBytes: (item: Item) => number) {
    this.#send = send
    this.#sizeBytes = sizeBytes
  }

  /** Resolves with whether the item has been delivered. */
  send(to: Contact, job: LiveJob, item: Item): Promise<boolean> {
    return new Promise((settle) => {
      const name = `${to.id}|${to.incarnation}|${job.id}`
      const lane = this.#lanes.get(name)
      if (lane) {
        lane.push({ item, settle })
        return
      }
      const parcels = [{ item, settle }]
      this.#lanes.set(name, parcels)
      void this.#run(name, parcels, to, job)
    })
  }

  async #run(name: string, parcels: Parcel<Item>[], to: Contact, job: LiveJob): Promise<void> {
    await undefined // what is sent in the same turn goes along
    while (parcels.length > 0) {
      const batch = parcels.splice(0, this.#fitting(parcels))
      let missing: ReadonlySet<Item> | undefined
      let delivered = true
      try {
        missing = await this.#send(
          to,
          job,
          batch.map((parcel) => parcel.item),
        )
      } catch {
        delivered = false
      }
      for (const parcel of batch) parcel.settle(delivered && !missing?.has(parcel.item))
    }
    this.#lanes.delete(name)
  }

  #fitting(parcels: readonly Parcel<Item>[]): number {
    let count = 0
    for (let bytes = 0; count < parcels.length && count < MAX_ITEMS; count++) {
      bytes += this.#sizeBytes((parcels[count] as Parcel<Item>).item)
      if (count > 0 && bytes > MAX_ITEMS_BYTES) break
    }
    return count
  }
}
