import * as z from 'zod'
import type { Caller } from './caller.ts'
import type { EndpointName } from './endpoints.ts'

/** One record of a list, under SMT's own names. */
export type SmtRecord = Readonly<Record<string, unknown>>

const list = z.array(z.looseObject({}))

/**
 * The records of an answer: those of the list that has this name, or of the only list that it has. SMT's lists have names that
 * differ from call to call, not all of which are known.
 */
export function recordsOf(caller: Caller, name: EndpointName, body: unknown, listName?: string): readonly SmtRecord[] {
  const named = z.looseObject({}).safeParse(body).data ?? {}
  const lists = Object.entries(named).filter(([, value]) => Array.isArray(value))
  const found = Array.isArray(body) ? body : (lists.find(([key]) => key === listName) ?? only(lists))?.[1]
  return caller.read(name, found, list)
}

function only<T>(items: readonly T[]): T | undefined {
  return items.length === 1 ? items[0] : undefined
}

/** The first of these fields that has a text or a number. */
export function textIn(record: SmtRecord, ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = record[name]
    if (typeof value === 'number' || (typeof value === 'string' && value.trim() !== '')) return String(value).trim()
  }
  return undefined
}

/** The whole number in the first of these fields. */
export function numberIn(record: SmtRecord, ...names: readonly string[]): number | undefined {
  const text = textIn(record, ...names)
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
