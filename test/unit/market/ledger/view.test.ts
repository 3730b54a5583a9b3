import { expect, test } from 'vitest'
import type { Chain } from '../../../../src/market/ledger/chain.ts'
import { LedgerView, type LedgerViewPorts } from '../../../../src/market/ledger/view.ts'
import { Books, idOf } from './books.ts'

test('an account is read without a walk over the hosts of all', async () => {
  const books = new Books().open('anna', 'ben')
  const mine = [books.id('banker 3'), books.id('banker 4')].sort()
  for (const host of mine) books.must('anna', { kind: 'link', host })
  books.must('ben', { kind: 'link', host: books.id('banker 5') })
  let walks = 0
  const { state } = books
  const watched = new Proxy(state.hosts, {
    get: (tree, name) => {
      if (name === 'entries') walks++
      const value = Reflect.get(tree, name, tree)
      return typeof value === 'function' ? value.bind(tree) : value
    },
  })
  const chain = {
    genesis: books.genesis,
    network: state.network,
    state: { ...state, hosts: watched },
  } as unknown as Chain
  const rollCall = { freshen: async () => {} }
  const view = new LedgerView({ chain, rollCall } as unknown as LedgerViewPorts)
  const { signal } = new AbortController()
  expect(await view.account(idOf('anna'), { signal })).toMatchObject({ hosts: mine, nonce: 3 })
  expect(await view.account(idOf('owner 1'), { signal })).toMatchObject({ hosts: [idOf('banker 1')] })
  expect(await view.account(idOf('nobody'), { signal })).toBeUndefined()
  expect(walks).toBe(0)
})
