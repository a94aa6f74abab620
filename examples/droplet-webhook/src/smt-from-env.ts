import { ConfigError, SmtAuth, SmtClient } from '@intelliwatt/smt-ingest'

/** SMT’s REST side, and who logs in there: to be closed. */
export interface Smt {
  readonly smt: SmtClient
  readonly auth: SmtAuth
}

/** SMT’s REST side as the environment names it; nothing where it names no password. */
export function smtFromEnv(env: NodeJS.ProcessEnv): Smt | undefined {
  const of = (name: string) => env[name]?.trim() || undefined
  const password = of('SMT_PASSWORD')
  if (password === undefined) return undefined
  const demand = (name: string) => {
    const value = of(name)
    if (value !== undefined) return value
    throw new ConfigError('CONFIG_INVALID', `SMT_PASSWORD is set and ${name} is not: without it SMT takes no call`)
  }
  const auth = new SmtAuth({
    baseUrl: of('SMT_API_BASE_URL'),
    username: demand('SMT_USERNAME'),
    password,
    serviceId: of('SMT_SERVICE_ID')
  })
  const smt = new SmtClient({
    auth,
    requestorId: of('SMT_REQUESTOR_ID'),
    requesterType: of('SMT_REQUESTOR_TYPE'),
    requesterAuthenticationId: demand('SMT_REQUESTOR_AUTH_ID')
  })
  return { smt, auth }
}
