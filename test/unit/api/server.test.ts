import { existsSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { connectHost } from '../../../src/api/client.ts'
import { MAX_BODY_BYTES } from '../../../src/api/routes.ts'
import { bench, jobView } from '../cli/fake-host.ts'

/** One raw request; the body as it is. */
function raw(
  socketPath: string,
  method: string,
  path: string,
  body?: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, agent: false }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve({ status: response.statusCode ?? 0, text })
    })
    outgoing.once('error', reject)
    outgoing.end(body)
  })
}

test('only the user may open the socket', async () => {
  await using b = await bench()
  expect(statSync(b.socketPath).mode & 0o777).toBe(0o600)
})

test.each([
  ['POST', '/v1/jobs', '', 400, 'usage'],
  ['POST', '/v1/jobs', '{', 400, 'usage'],
  ['POST', '/v1/jobs', '[]', 400, 'usage'],
  ['POST', '/v1/jobs', '{"module":"builtin:pi","params":{}}', 400, 'usage'],
  ['POST', '/v1/jobs', '{"module":"builtin:pi","params":{},"seed":-1}', 400, 'usage'],
  ['POST', '/v1/jobs', '{"module":"builtin:pi","params":{},"seed":1,"more":1}', 400, 'usage'],
  ['POST', '/v1/jobs', '{"module":"builtin:pi","params":[],"seed":1}', 400, 'usage'],
  ['POST', '/v1/jobs', `{"module":"${'x'.repeat(300)}","params":{},"seed":1}`, 400, 'usage'],
  ['POST', '/v1/jobs', `"${'x'.repeat(MAX_BODY_BYTES)}"`, 400, 'usage'],
  ['POST', '/v1/ping', '{"target":5}', 400, 'usage'],
  ['GET', '/v1/jobs/%zz', undefined, 400, 'bad-message'],
  ['GET', '/v1/jobs/..', undefined, 404, 'not-found'],
  ['GET', '/v1/jobs/a%2Fb', undefined, 400, 'usage'],
  ['GET', '/v1/jobs/bafyunknown', undefined, 404, 'not-found'],
  ['GET', '/v1/jobs/bafyunknown/watch', undefined, 404, 'not-found'],
  ['DELETE', '/v1/jobs', undefined, 404, 'not-found'],
  ['GET', '/v1/status/more/and/more/of/it', undefined, 404, 'not-found'],
  ['GET', '/', undefined, 404, 'not-found'],
] as const)('%s %s %j: %d %s', async (method, path, body, status, code) => {
  await using b = await bench()
  const answer = await raw(b.socketPath, method, path, body)
  expect(answer.status).toBe(status)
  expect(JSON.parse(answer.text)).toEqual({ error: { code, message: expect.any(String) } })
  expect(b.host.requests).toEqual([])
})

test('what is not HTTP is not answered, and does no harm', async () => {
  await using b = await bench()
  await new Promise<void>((resolve) => {
    const socket = connect(b.socketPath, () => socket.end('\u0000\u0001 nonsense\r\n\r\n'))
    socket
      .on('error', () => {})
      .on('close', () => resolve())
      .resume()
  })
  expect((await connectHost(b.socketPath).status()).role).toBe('member')
})

test('jobs look the same from the other end', async () => {
  await using b = await bench()
  const remote = connectHost(b.socketPath)
  const ended = jobView({ state: 'succeeded', reason: 'done', value: [1, 2] })
  b.host.add(jobView(), ended)
  expect(await remote.jobs.list()).toEqual([ended])
  expect(await remote.jobs.show(ended.id)).toEqual(ended)
  expect(await remote.jobs.show('bafyunknown')).toBeUndefined()
  const seen = []
  for await (const view of remote.jobs.watch(ended.id)) seen.push(view.state)
  expect(seen).toEqual(['running', 'succeeded'])
  expect(await remote.jobs.cancel(ended.id)).toMatchObject({ state: 'cancelled' })
  await expect(remote.ping('nobody')).rejects.toMatchObject({
    code: 'unreachable',
    message: 'nobody is not known here',
  })
})

test('leaving a watch ends it at the node; a node that goes ends it with an error', async () => {
  await using b = await bench()
  const remote = connectHost(b.socketPath)
  b.host.add(jobView())
  for await (const view of remote.jobs.watch(jobView().id)) {
    expect(view.state).toBe('running')
    break
  }
  const stop = new AbortController()
  const watch = remote.jobs.watch(jobView().id, { signal: stop.signal })[Symbol.asyncIterator]()
  await watch.next()
  stop.abort()
  await expect(watch.next()).rejects.toMatchObject({ code: 'aborted' })
})

test('a host that stops ends its watches and removes its socket', async () => {
  const b = await bench()
  const remote = connectHost(b.socketPath)
  b.host.add(jobView())
  const watch = remote.jobs.watch(jobView().id)[Symbol.asyncIterator]()
  await watch.next()
  const rest = watch.next()
  await b[Symbol.asyncDispose]()
  expect(await rest).toMatchObject({ done: true })
  expect(existsSync(b.socketPath)).toBe(false)
  await expect(remote.status()).rejects.toMatchObject({ code: 'no-node' })
})
