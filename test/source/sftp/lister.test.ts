import { expect, test } from 'vitest'
import { kindOf } from '../../../src/source/sftp/lister.ts'

test('tells a file from a directory where the server leaves the type out', () => {
  const longname = (letter: string) => ({ longname: `${letter}rw-r--r-- 1 smt smt 5 Jul 15 06:41 report.asc` })
  expect(['-', 'd', 'l', 'p'].map(letter => kindOf(longname(letter), {}))).toEqual([
    'file',
    'directory',
    'link',
    'other'
  ])
  expect(['-', 'd'].map(letter => kindOf(longname(letter), { mode: 0o644 }))).toEqual(['file', 'directory'])
  expect(kindOf(longname('d'), { mode: 0o100644 })).toBe('file')
  expect(kindOf({ longname: '' }, {})).toBe('other')
})
