import * as z from 'zod'

/** The two calls that a caller may have made in steps, by the only paths that are taken. No caller names a server. */
const stepCalls = { '/v2/NewAgreement/': 'newAgreement', '/v2/NewSubscription/': 'newSubscription' } as const

/** What is taken of a step’s body. Who asks is filled in here: a caller cannot ask in another’s name. */
const agreementFields = z.object({
  retailCustomerEmail: z.email(),
  agreementDuration: z.literal([1, 3, 6, 9, 12, 24, 36]),
  customerLanguagePreference: z.string().min(1).max(32).default('ENGLISH'),
  customerMeterList: z
    .array(
      z.object({
        ESIID: z
          .string()
          .trim()
          .regex(/^10(\d{15}|\d{20})$/, 'an ESIID has 17 or 22 digits and begins with 10'),
        meterNumber: z.string().trim().max(64).optional(),
        PUCTRORNumber: z.number().int().nonnegative().optional()
      })
    )
    .min(1)
    .max(100)
})

const subscriptionFields = z.object({
  subscriptionType: z.enum(['CSPENROLL', 'SCHEDULE', 'SCHEDULES', 'REPENROLL']),
  historicalSubscriptionDuration: z.literal([3, 6, 9, 12, 24]),
  reportFormat: z.enum(['LSE', 'CSV', 'JSON', 'XML']),
  dataType: z.enum(['DAILY', 'INTERVAL', 'MONTHLY']),
  deliveryMode: z.enum(['FTP', 'EML', 'API'])
})

const step = z.looseObject({
  name: z.string().max(64).optional(),
  path: z.enum(Object.keys(stepCalls) as [keyof typeof stepCalls]),
  body: z.looseObject({})
})

type Meters = { meterNumber?: string | undefined; PUCTRORNumber?: number | undefined; ESIID: string }[]

/** One call, checked and ready to be made. */
export type Step =
  | {
      readonly call: 'newAgreement'
      readonly name: string
      readonly path: string
      readonly fields: Omit<z.output<typeof agreementFields>, 'customerMeterList'> & { customerMeterList: Meters }
    }
  | {
      readonly call: 'newSubscription'
      readonly name: string
      readonly path: string
      readonly fields: z.output<typeof subscriptionFields>
    }

/** What is wrong with the steps: an answer’s `error` and `detail`. */
export interface StepFault {
  readonly error: 'missing_steps' | 'invalid_step'
  readonly detail?: string
}

/** The steps that a body asks for, all of them checked before any is made. */
export function readSteps(body: Readonly<Record<string, unknown>>): readonly Step[] | StepFault {
  const asked = stepsOf(body)
  if (asked.length === 0) return { error: 'missing_steps' }
  if (asked.length > 10) return { error: 'invalid_step', detail: 'more than 10 steps' }
  const steps: Step[] = []
  for (const [i, given] of asked.entries()) {
    const shape = step.safeParse(given)
    if (shape.error) return faultOf(`steps[${i}]`, shape.error)
    const { path, name = path, body } = shape.data
    const call = stepCalls[path]
    if (call === 'newAgreement') {
      const { data: fields, error } = agreementFields.safeParse(body)
      if (error) return faultOf(`steps[${i}].body`, error)
      steps.push({ call, name, path, fields })
    } else {
      const { data: fields, error } = subscriptionFields.safeParse(body)
      if (error) return faultOf(`steps[${i}].body`, error)
      steps.push({ call, name, path, fields })
    }
  }
  return steps
}

/** The list itself, or the two objects that older callers send. */
function stepsOf({ steps, agreement, subscription }: Readonly<Record<string, unknown>>): readonly unknown[] {
  if (Array.isArray(steps) && steps.length > 0) return steps
  const named = (given: unknown, path: string) =>
    typeof given === 'object' && given !== null ? [{ name: path.split('/')[2], path, ...given }] : []
  return [...named(agreement, '/v2/NewAgreement/'), ...named(subscription, '/v2/NewSubscription/')]
}

function faultOf(place: string, { issues }: z.ZodError): StepFault {
  const { path, message } = issues[0]!
  const inside = path.map(part => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  return { error: 'invalid_step', detail: `${place}${inside}: ${message}` }
}
