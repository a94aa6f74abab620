import { maskEsiids } from '@intelliwatt/smt-ingest'
import type { FastifyServerOptions } from 'fastify'

type Logger = Exclude<FastifyServerOptions['logger'], boolean | undefined>

/** What is secret in an environment: these variables, and the password inside a store’s address. */
const secretNames = /(SECRET|TOKEN|PASSWORD|PASSPHRASE)$/

/** How systemd’s journal is told of a line’s urgency, by pino’s number for it. */
const priorities: readonly (readonly [atLeast: number, priority: number])[] = [
  [60, 2],
  [50, 3],
  [40, 4],
  [30, 6],
  [0, 7]
]

/**
 * One JSON object a line on standard output, as journald keeps it. Nothing of a request but its method, path and length
 * is written; what an error message may carry along (a secret, a token, an ESIID, an address of mail) is taken out of
 * the finished line, whoever wrote it.
 */
export function loggerOptions(
  level: string,
  environment: NodeJS.ProcessEnv,
  write: (line: string) => void = line => process.stdout.write(line)
): Logger {
  const scrub = scrubber(environment)
  const inJournal = environment.JOURNAL_STREAM !== undefined
  return {
    level,
    stream: {
      write: (line: string) => {
        const [, number = '30'] = /^\{"level":(\d+)/.exec(line) ?? []
        const [, priority] = priorities.find(([atLeast]) => Number(number) >= atLeast)!
        write(`${inJournal ? `<${priority}>` : ''}${scrub(line)}`)
      }
    },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    base: null,
    serializers: {
      req: ({ method, url }) => ({ method, path: url?.split('?')[0] }),
      res: ({ statusCode }) => ({ statusCode }),
      // And nothing else that an error may hold, such as an answer of SMT’s.
      err: ({ name, code, message, stack }) => ({ type: name, code, message, stack: stack ?? '' })
    }
  }
}

/** Takes out of a text what must stand in no log. */
function scrubber(environment: NodeJS.ProcessEnv): (text: string) => string {
  const values = Object.entries(environment).flatMap(([name, value = '']) => {
    if (name === 'SMT_STORE') return passwordsOf(value)
    return secretNames.test(name) ? [value.trim()] : []
  })
  // As it is, and as it stands inside JSON; the longest first, should one be a part of another.
  const written = [...new Set(values.flatMap(value => [value, JSON.stringify(value).slice(1, -1)]))]
  const secrets = written.filter(value => value.length >= 4).sort((a, b) => b.length - a.length)
  return text => {
    let clean = text
    for (const secret of secrets) clean = clean.replaceAll(secret, '[secret]')
    return maskEsiids(clean)
      .replace(/\bBearer [\w.~+/=-]+/g, 'Bearer [token]')
      .replace(/\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?/g, '[token]')
      .replace(/(?<!\/\/[\w.+-]*)\b[\w.+-]+@[\w-]+(\.[\w-]+)+/g, '[mail]')
  }
}

function passwordsOf(store: string): readonly string[] {
  if (!URL.canParse(store)) return []
  const { password, searchParams } = new URL(store)
  const all = [password, searchParams.get('password') ?? '']
  return all.flatMap(value => [value, unescaped(value)])
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
