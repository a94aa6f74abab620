import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type Titled, titlesIn } from './support/titles.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const text = (path: string) => readFileSync(`${root}${path}`, 'utf8')

/** A line of a table: its cells, the last of which names tests or says what it waits for. */
interface Line {
  readonly page: string
  readonly cells: readonly string[]
}

/** A test as a page names it: a link to its file, then its title, behind those of its groups where that is needed. */
interface Named {
  readonly line: string
  readonly path: string
  readonly title: string
}

const pages = ['docs/reliability.md', 'docs/pains.md', 'docs/archives.md', 'docs/security.md']
const later = /^\*\*later\*\*: [a-z]/
const citation = /^\[((?:examples\/[\w-]+\/)?test\/\S+)\]\(\.\.\/\1\): (\S.*)$/

/** The lines of every table whose last column is `tests`. */
const lines = pages.flatMap(page =>
  [...text(page).matchAll(/^(?:\|.*\|\n)+/gm)].flatMap(([table]) => {
    const [head, , ...rows] = table
      .trim()
      .split('\n')
      .map(line =>
        line
          .slice(1, -1)
          .split('|')
          .map(cell => cell.trim())
      )
    return head!.at(-1) === 'tests'
      ? rows.map((cells): Line => ({ page, cells: [...cells, ...missing(head!, cells)] }))
      : []
  })
)

/** Shows a line that is too short, or too long, as one with an empty cell. */
function missing(head: readonly string[], cells: readonly string[]): string[] {
  return head.length === cells.length ? [] : ['']
}

const partsOf = ({ cells }: Line) => cells.at(-1)!.split('<br>')

const named: Named[] = lines.flatMap(line =>
  partsOf(line)
    .filter(part => !later.test(part))
    .map(part => {
      const [, path = '', title = part] = citation.exec(part) ?? []
      return { line: line.cells[0]!, path, title }
    })
)

const known = new Map<string, readonly Titled[]>()
function titlesOf(path: string): readonly Titled[] {
  if (!known.has(path)) known.set(path, titlesIn(`${root}${path}`))
  return known.get(path)!
}

describe('the promises and pains', () => {
  test('are all there: twelve invariants, and what went wrong before by its numbers', () => {
    const firsts = (page: string) => lines.filter(line => line.page === page).map(({ cells }) => cells[0]!)
    expect(firsts('docs/reliability.md').map(first => first.split(' ')[0])).toEqual(
      Array.from({ length: 12 }, (_, i) => `**I${i + 1}**`)
    )
    const numbered = firsts('docs/pains.md').filter(first => /^\d+$/.test(first))
    // Those from 1 to 19 stand in docs/time.md, which has a test of its own.
    expect(numbered.map(Number)).toEqual(Array.from({ length: 61 - 19 }, (_, i) => 20 + i))
    expect(firsts('docs/pains.md').length).toBeGreaterThan(100)
  })

  test('have no empty cell, and each names a test or says what it waits for', () => {
    expect(lines.filter(({ cells }) => cells.includes(''))).toEqual([])
    const silent = lines.filter(line => !partsOf(line).some(part => later.test(part) || citation.test(part)))
    expect(silent).toEqual([])
  })

  test.each(named)('$line: there is a test in $path: $title', ({ path, title }) => {
    expect(path, `“${title}” is no link to a file with the title of a test behind it`).not.toBe('')
    const found = titlesOf(path).filter(({ path: full }) => full === title || full.endsWith(` › ${title}`))
    const places = new Set(found.map(({ at }) => at))
    expect(places.size, `places in ${path} that are called “${title}”`).toBe(1)
  })
})

describe('the suites of promises', () => {
  const stores = Object.keys(JSON.parse(text('package.json')).exports)
    .filter(path => path !== '.' && !path.endsWith('.json') && !['./testing', './http/receive'].includes(path))
    .map(path => path.slice(2))

  test.each(stores)('are run by the sink %s, which has its page', store => {
    const tests = text(`test/sink/${store}.test.ts`)
    for (const suite of ['testSink(', 'testDurableSink(']) expect(tests).toContain(suite)
    // Where the newest reading wins, that is tried too.
    if (!['ndjson', 'http'].includes(store))
      for (const suite of ['testMergingSink(', 'testReplayingSink(']) expect(tests).toContain(suite)
    expect(text(`docs/sinks/${store}.md`)).toMatch(/^# /)
  })

  test.each(['directory', 'sftp'])('are run by the source %s', source => {
    expect(text(`test/source/${source}-source.test.ts`)).toContain('describeSource(')
  })
})
