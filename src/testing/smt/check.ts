import type { AdmittedCall, SmtAnswer } from './call.ts'

/** What a field must be. */
type Rule = (value: unknown) => boolean

/** Words that a field may have. */
export function oneOf(...words: readonly unknown[]): Rule {
  return value => words.includes(value)
}

export const text: Rule = value => typeof value === 'string' && value.trim() !== ''
export const wholeNumber: Rule = value => Number.isSafeInteger(value)
const esiid: Rule = value => typeof value === 'string' && /^10(\d{15}|\d{20})$/.test(value)
/** A list, and never a text: SMT refuses that. */
export const esiids: Rule = value => Array.isArray(value) && value.length > 0 && value.every(esiid)
export const oneEsiid = esiid

/** Fields of a call, besides those that say who asks. */
export interface Fields {
  readonly required?: Readonly<Record<string, Rule>> | undefined
  readonly optional?: Readonly<Record<string, Rule>> | undefined
  /** Which of the fields that say who asks it has. @default 'whole' */
  readonly identity?: 'whole' | 'without-type' | 'requestor' | undefined
}

/** Why a call is refused: a field is missing, is not as it must be, or is none of the call's. Undefined when all is well. */
export function refusalOfFields({ body }: AdmittedCall, duns: string, fields: Fields): SmtAnswer | undefined {
  const { required = {}, optional = {}, identity = 'whole' } = fields
  const rules: Record<string, Rule> = {
    trans_id: text,
    requestorID: text,
    SMTTermsandConditions: oneOf('Y'),
    ...(identity === 'whole' && { requesterType: oneOf('CSP', 'REP', 'ROR', 'BUSINESS', 'RES') }),
    ...(identity !== 'requestor' && { requesterAuthenticationID: oneOf(duns) }),
    ...required
  }
  for (const [name, rule] of Object.entries(rules)) {
    if (!rule(body[name])) return refused(name.endsWith('Date') ? badDate(name) : `${name} is missing or invalid.`)
  }
  for (const [name, value] of Object.entries(body)) {
    if (!(name in rules) && !optional[name]?.(value)) return refused(`${name} is not expected.`)
  }
  return undefined
}

/** `07/14/2025`, a day that the calendar has. */
export const usDate: Rule = value => {
  const [, month, day, year] = /^(\d{2})\/(\d{2})\/(\d{4})$/.exec(String(value)) ?? []
  return month !== undefined && new Date(`${year}-${month}-${day}T00:00Z`).getUTCDate() === Number(day)
}

/** As the days of this kit are written: `2025-07-14`. */
export function dayOf(usDate: unknown): string {
  const [month, day, year] = String(usDate).split('/')
  return `${year}-${month}-${day}`
}

export function refused(errorMessage: string): SmtAnswer {
  return { status: 400, body: { errorCode: '1', errorMessage } }
}

/** HTTP 200, and yet no data: SMT says so in the answer. */
export const noData: SmtAnswer = {
  body: { errorCode: '1', errorMessage: 'No data received from the respective TDSP' }
}

function badDate(name: string): string {
  return `Invalid Date. Expected format of: ${name} is MM/dd/yyyy`
}
