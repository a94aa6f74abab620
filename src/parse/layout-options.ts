import * as z from 'zod'
import { directions } from '../batch.ts'

const column = z.string().trim().min(1)

/** A length that an interval may have. */
export const minutesSchema = z.literal([15, 30, 60])

const esiid = z.string().regex(/^10(\d{15}|\d{20})$/, 'must be an ESIID, 17 or 22 digits')

/** What is known of Green Button feeds beforehand. */
export const greenButtonSchema = z.strictObject({
  esiid: esiid.optional(),
  clock: z.literal(['utc', 'smt']).optional()
})

/** A layout of the user's own, see `IntervalLayout`: complete, and without contradictions. */
export const layoutSchema = z
  .strictObject({
    name: z.string().min(1),
    columns: z.strictObject({
      esiid: column.optional(),
      date: column.optional(),
      revision: column.optional(),
      start: column.optional(),
      end: column.optional(),
      kwh: column,
      flag: column.optional(),
      direction: column.optional()
    }),
    esiid: esiid.optional(),
    direction: z.literal(directions).optional(),
    minutes: minutesSchema.optional(),
    midnight: z.literal(['closing-day', 'next-day']).optional()
  })
  .superRefine(({ columns, esiid, direction, midnight }, context) => {
    const refuse = (message: string) => context.addIssue({ code: 'custom', message })
    const { date, start, end } = columns
    if ((columns.esiid === undefined) === (esiid === undefined)) {
      refuse('must say where the ESIID stands: in a column, or that it is the same for all rows')
    }
    if (columns.direction !== undefined && direction !== undefined) {
      refuse('must say where the direction stands: in a column, or that it is the same for all rows')
    }
    if (start === undefined && end === undefined) refuse('must name the column of the start or of the end')
    if (date === undefined && start !== undefined && end !== undefined) {
      refuse('has no date column, so it can name the start or the end, not both')
    }
    if (midnight === 'next-day' && (start !== undefined || date === undefined)) {
      refuse('says that 00:00 closes the day before, which is for layouts with a date and an end, and no start')
    }
    const names = Object.values(columns).flatMap(name => name?.toUpperCase() ?? [])
    if (new Set(names).size < names.length) refuse('names a column twice')
  })
