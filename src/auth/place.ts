import { ApiError } from '../errors.ts'

/** What Vercel sets wherever it runs somebody's code. Not VERCEL_URL: that is a setting on other machines too. */
const vercelNames = ['VERCEL', 'VERCEL_ENV', 'VERCEL_REGION', 'NOW_REGION'] as const

/** The globals that tell where a program runs. */
interface Globals {
  readonly window?: unknown
  readonly document?: unknown
  readonly EdgeRuntime?: unknown
  readonly process?: { readonly versions?: { readonly node?: string }; readonly env?: NodeJS.ProcessEnv }
}

/**
 * SMT admits known addresses only, and a login must not leave for where anybody may read it: refuses to go on at Vercel, in
 * an edge runtime and in a browser.
 */
export function refuseWrongPlace(address: string, globals: Globals = globalThis as unknown as Globals): void {
  const place = wrongPlace(globals)
  if (place !== undefined) throw new ApiError('API_WRONG_PLACE', `SMT is never called from ${place}`, { file: address })
}

function wrongPlace({ window, document, EdgeRuntime, process }: Globals): string | undefined {
  if (vercelNames.some(name => process?.env?.[name])) return 'Vercel'
  if (EdgeRuntime !== undefined) return 'an edge runtime'
  if (window !== undefined && document !== undefined) return 'a browser'
  return process?.versions?.node === undefined ? 'a browser or an edge runtime' : undefined
}
