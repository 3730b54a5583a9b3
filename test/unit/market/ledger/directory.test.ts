import { expect, test } from 'vitest'
import { fakeKeyPair } from '../../../../sim/fake-keys.ts'
import { SimNetwork } from '../../../../sim/network.ts'
import { encode } from '../../../../src/core/cbor.ts'
import { peerOf } from '../../../../src/dht/store/records.ts'
import { Directory } from '../../../../src/market/ledger/directory.ts'
import { type Contact, contactAt } from '../../../../src/net/contact.ts'

const { publicKey: host } = fakeKeyPair('banker')
const peer = peerOf(Buffer.from(host, 'hex'))
const placed = (incarnation: number, ip = '10.1.1.1'): Contact => contactAt({ peer, ip, port: 4001, incarnation }, 0)

/** A directory, what its overlay and the records tell it, and its time. */
function setup() {
  const network = new SimNetwork({ seed: 1 })
  const self = network.host()
  const told = { neighbours: [] as Contact[], record: undefined as Contact | undefined, searches: 0 }
  const directory = new Directory({
    placement: 'ip-port',
    env: self.env,
    overlay: { self: self.contact(), neighbours: () => told.neighbours },
    records: {
      publish: () => new Promise<never>(() => {}),
      resolve: async () => {
        told.searches++
        const { record } = told
        const value = record && encode([record.ip, record.port, record.incarnation])
        return value && ({ value } as never)
      },
    },
  })
  const wait = (ms: number) => network.schedule.run(network.schedule.nowMs + ms)
  return { directory, told, wait }
}

test('where a host could not be reached it is tried again soon, and at once when it speaks', async () => {
  const { directory, wait } = setup()
  const place = placed(1)
  directory.heard(peer, place)
  directory.failed(place, 'unreachable')
  expect(directory.known(host)).toBeUndefined()
  await wait(2500)
  expect(directory.known(host)).toBe(place)
  directory.failed(place, 'unreachable')
  directory.heard(peer, place)
  expect(directory.known(host)).toBe(place)
})

test('a place that is gone is never tried again, though neighbours and the record still tell it', async () => {
  const { directory, told, wait } = setup()
  const place = placed(1)
  directory.heard(peer, place)
  directory.failed(place, 'gone')
  told.neighbours = [place]
  told.record = place
  for (let i = 0; i < 3; i++) {
    expect(await directory.find(host)).toBeUndefined()
    await wait(60_000)
  }
  told.record = placed(2)
  expect(await directory.find(host)).toEqual(placed(2))
  expect(directory.known(host)).toEqual(placed(2))
})

test('while a place is passed over a newer one is looked for, once', async () => {
  const { directory, told, wait } = setup()
  directory.heard(peer, placed(1))
  directory.failed(placed(1), 'unreachable')
  for (let i = 0; i < 3; i++) expect(await directory.find(host)).toBeUndefined()
  expect(told.searches).toBe(1)
  await wait(2500)
  directory.failed(placed(1), 'unreachable')
  told.record = placed(2, '10.2.2.2')
  expect(await directory.find(host)).toEqual(told.record)
  await wait(2500)
  expect(directory.known(host), 'not the old one').toEqual(told.record)
})
