import { describe, expect, test } from 'vitest'
import {
  type MeterDay,
  makeDailyReport,
  makeIntervalReport,
  missingReading,
  type ReportOptions,
  type Series,
  spoiledReading
} from '../../src/testing/index.ts'

const header =
  'ESIID,USAGE_DATE,REVISION_DATE,USAGE_START_TIME,USAGE_END_TIME,USAGE_KWH,ESTIMATED_ACTUAL,CONSUMPTION_SURPLUSGENERATION'

function series(direction: Series['direction'], first: number[], length = 96): Series {
  const milliKwh = new Int32Array(length).fill(100)
  milliKwh.set(first)
  return { direction, milliKwh, estimated: new Uint8Array(length) }
}

const home = (...both: Series[]): MeterDay => ({
  esiid: '10443720009999001',
  date: '2025-07-04',
  revision: '2025-07-05 06:41:12',
  series: both
})

const lines = (day: MeterDay, options?: ReportOptions) =>
  makeIntervalReport([day], options).bytes.toString().split('\n')

describe('the text', () => {
  test('is what SMT sends', () => {
    const day = home(series('consumption', [231, 0, missingReading, spoiledReading, 12_345]))
    day.series[0]!.estimated[1] = 1
    const text = lines(day)
    expect(text.slice(0, 6)).toEqual([
      header,
      "'10443720009999001,07/04/2025,07/05/2025 06:41:12, 00:00, 00:15,0.231,A,Consumption",
      "'10443720009999001,07/04/2025,07/05/2025 06:41:12, 00:15, 00:30,0.000,E,Consumption",
      "'10443720009999001,07/04/2025,07/05/2025 06:41:12, 00:30, 00:45,,,Consumption",
      "'10443720009999001,07/04/2025,07/05/2025 06:41:12, 00:45, 01:00,n/a,A,Consumption",
      "'10443720009999001,07/04/2025,07/05/2025 06:41:12, 01:00, 01:15,12.345,A,Consumption"
    ])
    expect(text.slice(96)).toEqual([
      "'10443720009999001,07/04/2025,07/05/2025 06:41:12, 23:45, 00:00,0.100,A,Consumption",
      ''
    ])
  })

  test('alternates the rows of a meter with both directions', () => {
    const day = home(series('consumption', [1, 2]), series('surplus-generation', [3, 4]))
    expect(
      lines(day)
        .slice(1, 5)
        .map(line => line.split(', ')[2])
    ).toEqual([
      '00:15,0.001,A,Consumption',
      '00:15,0.003,A,Surplus Generation',
      '00:30,0.002,A,Consumption',
      '00:30,0.004,A,Surplus Generation'
    ])
  })

  test('can be what a spreadsheet leaves of it', () => {
    const day = home(series('consumption', [310, 0, 2000]))
    expect(lines(day, { form: 'spreadsheet', apostrophe: false }).slice(1, 4)).toEqual([
      '10443720009999001,7/4/2025,7/5/2025 6:41,0:00,0:15,0.31,A,Consumption',
      '10443720009999001,7/4/2025,7/5/2025 6:41,0:15,0:30,0,A,Consumption',
      '10443720009999001,7/4/2025,7/5/2025 6:41,0:30,0:45,2,A,Consumption'
    ])
  })

  test('can leave out the zero before the point, the revision, and the last line end', () => {
    const day = { ...home(series('consumption', [145, 0, 1145])), revision: null }
    const { bytes, expected } = makeIntervalReport([day], { bareDecimal: true, lineEnd: '\r\n', lastLineEnd: false })
    const text = bytes.toString().split('\r\n')
    expect(text).toHaveLength(97)
    expect(text.slice(1, 4)).toEqual([
      "'10443720009999001,07/04/2025,, 00:00, 00:15,.145,A,Consumption",
      "'10443720009999001,07/04/2025,, 00:15, 00:30,.000,A,Consumption",
      "'10443720009999001,07/04/2025,, 00:30, 00:45,1.145,A,Consumption"
    ])
    expect(expected().next().value).toMatchObject({ milliKwh: 145, revision: null })
  })

  test('writes the hour that the clock skips with blank kWh and blank flag', () => {
    const day = { ...home(series('consumption', [], 92)), date: '2025-03-09' }
    expect(
      lines(day)
        .slice(8, 14)
        .map(line => line.split('06:41:12,')[1])
    ).toEqual([
      ' 01:45, 02:00,0.100,A,Consumption',
      ' 02:00, 02:15,,,Consumption',
      ' 02:15, 02:30,,,Consumption',
      ' 02:30, 02:45,,,Consumption',
      ' 02:45, 03:00,,,Consumption',
      ' 03:00, 03:15,0.100,A,Consumption'
    ])
  })

  test('of daily reads moves each register on by what was used', () => {
    const registers = new Map([['10443720009999001', 1_500]])
    const day = home(series('consumption', [missingReading]))
    expect(makeDailyReport([day, { ...day, date: '2025-07-05' }], registers).toString()).toBe(
      [
        'ESIID,READ_DATE,REVISION_DATE,START_READING,END_READING,USAGE_KWH',
        "'10443720009999001,07/04/2025,07/05/2025 06:41:12,1.500,11.000,9.500",
        "'10443720009999001,07/05/2025,07/05/2025 06:41:12,11.000,20.500,9.500",
        ''
      ].join('\n')
    )
  })
})

describe('the truth', () => {
  test('names instant, thousandths, flag, direction and revision of every reading', () => {
    const day = home(series('consumption', [231, missingReading, 7]), series('surplus-generation', [5]))
    day.series[0]!.estimated[2] = 1
    const expected = [...makeIntervalReport([day]).expected()]
    const common = { esiid: '10443720009999001', revision: Date.parse('2025-07-05T11:41:12Z'), estimated: false }
    const at = (minute: number) => Date.parse('2025-07-04T05:00Z') + minute * 60_000
    expect(expected.slice(0, 5)).toEqual([
      { ...common, start: at(0), milliKwh: 231, direction: 'consumption' },
      { ...common, start: at(0), milliKwh: 5, direction: 'surplus-generation' },
      { ...common, start: at(15), milliKwh: 100, direction: 'surplus-generation' },
      { ...common, start: at(30), milliKwh: 7, direction: 'consumption', estimated: true },
      { ...common, start: at(30), milliKwh: 100, direction: 'surplus-generation' }
    ])
    expect(expected).toHaveLength(191)
  })

  test('loses the seconds of the revision where a spreadsheet lost them', () => {
    const [first] = makeIntervalReport([home(series('consumption', []))], { form: 'spreadsheet' }).expected()
    expect(first?.revision).toBe(Date.parse('2025-07-05T11:41:00Z'))
  })

  test('adds up', () => {
    const day = home(series('consumption', [0, missingReading, spoiledReading, 250]), series('surplus-generation', [1]))
    day.series[1]!.estimated.fill(1, 0, 16)
    expect(makeIntervalReport([day]).totals).toEqual({
      rows: { read: 192, accepted: 190, rejected: 1, placeholder: 0, missing: 1 },
      intervals: { consumption: 94, 'surplus-generation': 96 },
      milliKwh: { consumption: 92 * 100 + 250, 'surplus-generation': 95 * 100 + 1 },
      estimated: 16,
      zeros: 1
    })
  })

  test('leaves out what the text leaves out', () => {
    const fall = { ...home(series('consumption', [], 100)), date: '2025-11-02' }
    expect(makeIntervalReport([fall]).totals.rows).toMatchObject({ read: 100, accepted: 100 })
    const short = makeIntervalReport([fall], { secondPass: false })
    expect(short.totals.rows).toMatchObject({ read: 96, accepted: 96 })
    expect([...short.expected()].map(({ start }) => start)).not.toContain(Date.parse('2025-11-02T07:00Z'))

    const spring = { ...home(series('consumption', [], 92)), date: '2025-03-09' }
    expect(makeIntervalReport([spring]).totals.rows).toMatchObject({ read: 96, accepted: 92, placeholder: 4 })
    const gap = makeIntervalReport([spring], { placeholders: false })
    expect(gap.totals.rows).toMatchObject({ read: 92, accepted: 92, placeholder: 0 })
  })
})
