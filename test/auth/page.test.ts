import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { endpoints } from '../../src/auth/endpoints.ts'
import { SmtClient } from '../../src/auth/smt-client.ts'

const page = readFileSync(fileURLToPath(new URL('../../docs/smt-client.md', import.meta.url)), 'utf8')
const [, table] = page.split('<!-- endpoints -->')
const rows = table!
  .split('\n\n')[1]!
  .split('\n')
  .slice(2)
  .map(line => line.split('|').map(cell => cell.trim().replaceAll('`', '')))
const methods = rows.flatMap(([, names]) => names!.split(', '))

test('docs/smt-client.md lists every call with its path, its certainty, and whether it is made again', () => {
  expect(rows.map(([, , path, certainty, again]) => [path, certainty, again])).toEqual(
    Object.values(endpoints).map(({ path, certainty, retry }) => [path, certainty, retry === 'safe' ? 'yes' : 'never'])
  )
})

test('docs/smt-client.md lists every method, and each says its certainty where it is written', () => {
  const own = Object.getOwnPropertyNames(SmtClient.prototype).filter(name => name !== 'constructor')
  expect(methods.toSorted()).toEqual(own.toSorted())
  const source = readFileSync(fileURLToPath(new URL('../../src/auth/smt-client.ts', import.meta.url)), 'utf8')
  const said = [...source.matchAll(/\* Certainty: (high|medium)[\s\S]*?\*\/\n {2}(\w+)\(/g)]
  expect(said.map(([, certainty, name]) => [name, certainty]).toSorted()).toEqual(
    rows.flatMap(([, names, , certainty]) => names!.split(', ').map(name => [name, certainty])).toSorted()
  )
})

test('no call that is doubtful is made', () => {
  for (const path of ['/premiseInfo/', '/v2/energydata/', '/greenbutton/']) {
    expect(page).toContain(`\`${path}\``)
    expect(Object.values(endpoints).map(endpoint => endpoint.path)).not.toContain(path)
  }
})
