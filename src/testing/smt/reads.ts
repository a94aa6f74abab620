import { randomUUID } from 'node:crypto'
import type { MeterDay } from '../meter-days.ts'
import { kwhText, usDate as usDateOf, usStamp } from '../reports.ts'
import type { AdmittedCall, SmtAnswer, SmtEndpoint } from './call.ts'
import * as check from './check.ts'
import { makeIntervalAnswer } from './interval-answers.ts'
import { type DaysOf, type FakeMeter, meterDaysOf, meterNumberOf } from './meters.ts'
import type { ReportDesk } from './reports.ts'

/** What the calls of reads look into. */
export interface ReadsDesk {
  readonly duns: string
  readonly reports: ReportDesk
  readonly daysOf: DaysOf
  /** The meter of an ESIID, when an agreement lets the company read it. */
  meterOf(esiid: string): FakeMeter | undefined
}

const span = { startDate: check.usDate, endDate: check.usDate, version: check.oneOf('A', 'L'), esiid: check.esiids }
const readingType = { readingType: check.oneOf('C', 'G', 'A') }
const notAllowed: SmtAnswer = { status: 401, body: { error: 'Authorization failure.' } }

/** The calls that give reads, by path. */
export function readCalls(desk: ReadsDesk): [string, SmtEndpoint][] {
  const call = (fields: check.Fields, answer: (call: AdmittedCall) => SmtAnswer): SmtEndpoint => ({
    answer: call => check.refusalOfFields(call, desk.duns, fields) ?? answer(call)
  })
  const inline = { ...span, deliveryMode: check.oneOf('API'), reportFormat: check.oneOf('JSON') }
  return [
    [
      '/v2/15minintervalreads/',
      call(
        {
          required: {
            ...span,
            ...readingType,
            deliveryMode: check.oneOf('FTP', 'EML', 'API'),
            reportFormat: check.oneOf('CSV', 'JSON')
          }
        },
        ({ body }) => intervals(desk, body)
      )
    ],
    ['/v2/dailyreads/', call({ required: { ...inline, ...readingType } }, ({ body }) => daily(desk, body))],
    ['/v2/monthlybillingInformation/', call({ required: inline }, ({ body }) => monthly(desk, body))],
    ['/v2/meterInfo/', call(meterInfoFields, ({ body }) => meterInfo(desk, body))],
    [
      '/v2/reportrequeststatus/',
      call(
        { required: { correlationId: check.text }, optional: { serviceType: check.text }, identity: 'requestor' },
        ({ body }) => desk.reports.statusOf(body.trans_id, body.correlationId)
      )
    ],
    ...onDemandCalls(desk, call)
  ]
}

type Body = AdmittedCall['body']

/** The days that a call asks for; undefined when one of its meters may not be read. */
function asked(desk: ReadsDesk, body: Body): MeterDay[] | undefined {
  const meters = (body.esiid as string[]).map(esiid => desk.meterOf(esiid))
  if (!meters.every(meter => meter !== undefined)) return undefined
  const { version, readingType = 'A' } = body
  const [from, to] = [check.dayOf(body.startDate), check.dayOf(body.endDate)]
  return meterDaysOf({ meters, from, to, version, readingType }, desk.daysOf)
}

function intervals(desk: ReadsDesk, body: Body): SmtAnswer {
  const days = asked(desk, body)
  if (!days) return notAllowed
  if (body.deliveryMode !== 'API') return desk.reports.takeIntervals(body.trans_id, days)
  if (body.reportFormat !== 'JSON') return check.refused('reportFormat is missing or invalid.')
  if (days.length === 0) return check.noData
  return { body: makeIntervalAnswer(days, { transId: String(body.trans_id) }).bytes }
}

function daily(desk: ReadsDesk, body: Body): SmtAnswer {
  const days = asked(desk, body)
  if (!days) return notAllowed
  if (days.length === 0) return check.noData
  let register = 24_002_915
  const registeredReads = days.map(({ date, revision, series }) => {
    const used = usedOn(series)
    const startReading = kwhText(register)
    register += used
    const revisionDate = revision === null ? '' : usStamp(revision)
    return {
      readDate: usDateOf(date),
      revisionDate,
      startReading,
      endReading: kwhText(register),
      energyDataKwh: kwhText(used)
    }
  })
  return { body: { registeredReads } }
}

function usedOn(series: MeterDay['series']): number {
  const consumption = series.find(({ direction }) => direction === 'consumption')
  return consumption?.milliKwh.reduce((sum, milli) => sum + Math.max(0, milli), 0) ?? 0
}

/** A bill for each calendar month. */
function monthly(desk: ReadsDesk, body: Body): SmtAnswer {
  const days = asked(desk, body)
  if (!days) return notAllowed
  const months = [...new Set(days.map(({ date }) => date.slice(0, 7)))]
  if (months.length === 0) return check.noData
  const billingData = months.map(month => {
    const ofMonth = days.filter(({ date }) => date.startsWith(month))
    const kwh = Math.round(ofMonth.reduce((sum, { series }) => sum + usedOn(series), 0) / 1000)
    const [first, last] = [ofMonth[0]!, ofMonth.at(-1)!]
    return {
      startDate: usDateOf(first.date),
      endDate: usDateOf(last.date),
      revisionDate: last.revision === null ? '' : usStamp(last.revision),
      actualkWh: String(kwh),
      meteredKW: '7.91',
      billedKW: '0',
      meteredKVA: '0',
      billedKVA: '0'
    }
  })
  return { body: { billingData } }
}

const meterInfoFields: check.Fields = {
  required: {
    reportFormat: check.oneOf('CSV', 'JSON'),
    version: check.oneOf('L'),
    ESIIDMeterList: list => Array.isArray(list) && list.length > 0 && list.every(item => check.oneEsiid(item?.esiid))
  },
  optional: { deliveryMode: check.oneOf('API', 'FTP') }
}

function meterInfo(desk: ReadsDesk, body: Body): SmtAnswer {
  if (body.deliveryMode === 'API') {
    return { body: { errorCode: '2076', errorMessage: 'API Integration is not done.' } }
  }
  const meters = (body.ESIIDMeterList as { esiid: string }[]).map(({ esiid }) => desk.meterOf(esiid))
  if (!meters.every(meter => meter !== undefined)) return notAllowed
  const rows = meters.map(meter => ({
    utilityMeterId: meterNumberOf(meter),
    meterSerialNumber: meterNumberOf(meter).replace('M', ''),
    utilityCompanyId: '1039940674000',
    intervalSetting: '15',
    configuredChannels: meter.solar ? '2' : '1',
    DGChannel: meter.solar ? 'Y' : 'N',
    KWHMeterMultiplier: 1,
    meterStatus: 'Active'
  }))
  if (rows.length === 1 && body.reportFormat === 'JSON')
    return { body: { trans_id: body.trans_id, MeterData: rows[0] } }
  const names = Object.keys(rows[0]!)
  const lines = rows.map((row, i) => `'${meters[i]!.esiid},${Object.values(row).join(',')}`)
  const csv = Buffer.from(`${[['ESIID', ...names].join(','), ...lines].join('\n')}\n`)
  return desk.reports.takeOther(body.trans_id, 'MeterInformation', csv)
}

/** A meter answers at the second time that somebody asks how far it is. */
function onDemandCalls(
  desk: ReadsDesk,
  call: (fields: check.Fields, answer: (call: AdmittedCall) => SmtAnswer) => SmtEndpoint
): [string, SmtEndpoint][] {
  const asked = new Map<unknown, number>()
  const request = call(
    { required: { ESIID: check.oneEsiid, reportFormat: check.text, deliveryMode: check.oneOf('API') } },
    ({ body }) => {
      if (!desk.meterOf(body.ESIID as string)) return notAllowed
      const correlationId = randomUUID()
      asked.set(correlationId, 0)
      return { body: { trans_id: body.trans_id, correlationId, statusCode: '0', statusReason: 'Request submitted' } }
    }
  )
  const status = call({ required: { correlationId: check.text } }, ({ body }) => {
    const times = asked.get(body.correlationId)
    if (times === undefined) return check.refused('The correlationId is not known.')
    asked.set(body.correlationId, times + 1)
    if (times === 0) return { body: { statusCode: 'PEN', statusReason: 'Pending' } }
    return { body: { statusCode: '0', odrRead: { registeredRead: '24038.915', readDate: '07/15/2025 09:00:00' } } }
  })
  return [
    ['/v2/odr/', request],
    ['/v2/odrstatus/', status]
  ]
}
