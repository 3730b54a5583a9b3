import { expect, test } from 'vitest'
import { ChoraleError, errorCode } from '../../../../src/core/errors.ts'
import { Gather } from '../../../../src/dht/store/blocks/gather.ts'
import type { Contact } from '../../../../src/net/contact.ts'

interface Item {
  readonly name: string
  readonly bytes: Uint8Array
}

interface Sent {
  readonly to: Contact
  readonly names: string[]
  answer(results: readonly string[]): void
  fail(error: Error): void
}

const item = (name: string, length = 1024): Item => ({ name, bytes: new Uint8Array(length) })
const host = (peer: string, incarnation = 1): Contact => ({ peer, incarnation }) as Contact
const turn = () => new Promise((resolve) => setImmediate(resolve))

function recording() {
  const sent: Sent[] = []
  const gather = new Gather<Item, string>((to, items) => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>()
    sent.push({ to, names: items.map(({ name }) => name), answer: resolve, fail: reject })
    return promise
  })
  return { sent, gather }
}

test('what comes in one turn leaves together, to each peer its own, and each caller gets its own result', async () => {
  const { sent, gather } = recording()
  const results = Promise.all([
    gather.add(host('a'), item('1')),
    gather.add(host('b'), item('2')),
    gather.add(host('a'), item('3')),
  ])
  await turn()
  expect(sent.map(({ to, names }) => [to.peer, names])).toEqual([
    ['a', ['1', '3']],
    ['b', ['2']],
  ])
  sent[1]!.answer(['two'])
  sent[0]!.answer(['one', 'three'])
  expect(await results).toEqual(['one', 'two', 'three'])
})

test('a little waits while a message is under way, and what fills a message does not', async () => {
  const { sent, gather } = recording()
  const all = [gather.add(host('a'), item('first'))]
  await turn()
  all.push(gather.add(host('a'), item('second')), gather.add(host('a'), item('third')))
  await turn()
  expect(sent.length).toBe(1)
  all.push(gather.add(host('a'), item('large', 256 * 1024)))
  await turn()
  expect(sent.map(({ names }) => names)).toEqual([['first'], ['second', 'third'], ['large']])
  all.push(gather.add(host('a', 2), item('last')))
  for (const { names, answer } of sent) answer(names)
  await turn()
  expect(sent[3]).toMatchObject({ to: { incarnation: 2 }, names: ['last'] })
  sent[3]!.answer(['last'])
  expect(await Promise.all(all)).toEqual(['first', 'second', 'third', 'large', 'last'])
})

test('no message has more than 256 blocks, or more than 64 KiB of several', async () => {
  const { sent, gather } = recording()
  for (let i = 0; i < 300; i++) void gather.add(host('a'), item(`${i}`, 0))
  for (let i = 0; i < 8; i++) void gather.add(host('b'), item(`${i}`, 15 * 1024))
  await turn()
  const counts = (peer: string) => sent.filter(({ to }) => to.peer === peer).map(({ names }) => names.length)
  expect(counts('a')).toEqual([256, 44])
  expect(counts('b')).toEqual([4, 4])
})

test('those of a message share its failure, or a wrong number of results, and the next goes out', async () => {
  const { sent, gather } = recording()
  const lost = [gather.add(host('a'), item('1')), gather.add(host('a'), item('2'))]
  await turn()
  sent[0]!.fail(new ChoraleError('timeout', 'no answer'))
  for (const outcome of await Promise.allSettled(lost)) {
    expect(outcome.status === 'rejected' && errorCode(outcome.reason)).toBe('timeout')
  }
  const short = gather.add(host('a'), item('3'))
  await turn()
  sent[1]!.answer([])
  await expect(short).rejects.toMatchObject({ code: 'bad-message' })
  void gather.add(host('a'), item('4'))
  await turn()
  expect(sent[2]!.names).toEqual(['4'])
})

test('what waits for a message that fails does not wait for another one to the same peer', async () => {
  const { sent, gather } = recording()
  const first = gather.add(host('a'), item('1'))
  await turn()
  const second = gather.add(host('a'), item('2'))
  sent[0]!.fail(new ChoraleError('timeout', 'no answer'))
  for (const each of [first, second]) await expect(each).rejects.toMatchObject({ code: 'timeout' })
  await turn()
  expect(sent.length).toBe(1)
})
