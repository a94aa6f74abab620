import { expect, test } from 'vitest'
import { SmtAuth } from '../../src/index.ts'
import { FakeSmt } from '../../src/testing/index.ts'

test('logs in once for a thousand who ask, calls, and streams', async () => {
  await using smt = await FakeSmt.start()
  smt.endpoints.set('/v2/x/', { answer: ({ body }) => ({ body: { got: body } }) })
  await using auth = new SmtAuth({ baseUrl: smt.baseUrl, ...smt.login })
  const tokens = await Promise.all(Array.from({ length: 1000 }, () => auth.token()))
  expect(new Set(tokens).size).toBe(1)
  expect(smt.count('/v2/token/')).toBe(1)
  expect(await auth.request('/v2/x/', { requestorID: auth.username })).toEqual({
    status: 200,
    body: { got: { requestorID: 'INTELLIPATH' } }
  })
  smt.expireTokens()
  expect(await auth.request('/v2/x/', { requestorID: auth.username })).toMatchObject({ status: 200 })
  let text = ''
  for await (const bytes of auth.stream('/v2/x/', { requestorID: auth.username })) text += Buffer.from(bytes)
  expect(text).toBe('{"got":{"requestorID":"INTELLIPATH"}}')
  await expect(auth.request('/v2/x/', { requestorID: 'other' })).rejects.toThrow('Mismatch')
})
