import { onTestFinished } from 'vitest'
import { SmtAuth, type SmtAuthOptions } from '../../src/index.ts'
import { FakeSmt, type FakeSmtOptions } from '../../src/testing/index.ts'

/** Where the login is. */
export const loginPath = '/v2/token/'
/** A path behind which something answers that repeats what it was told. */
export const echoPath = '/v2/echo/'

interface Setup {
  readonly smt?: FakeSmtOptions
  readonly auth?: Partial<SmtAuthOptions>
}

/** An SMT and who logs in there, both closed when the test ends. Calls are made again after a few milliseconds. */
export async function start({ smt: serverOptions = {}, auth: authOptions = {} }: Setup = {}) {
  const smt = await FakeSmt.start(serverOptions)
  smt.endpoints.set(echoPath, { answer: ({ body, username }) => ({ body: { username, said: body } }) })
  const auth = new SmtAuth({ baseUrl: smt.baseUrl, ...smt.login, retryPauseMs: 5, ...authOptions })
  onTestFinished(async () => {
    await auth.close()
    await smt.close()
  })
  const body = { requestorID: auth.username }
  return { smt, auth, body, echo: (options = {}) => auth.request(echoPath, body, options) }
}

/** Waits until something is so. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(resolve => setTimeout(resolve, 5))
}
