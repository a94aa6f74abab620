import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createReadStream, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { requireReal } from '../support/real.ts'
import { scratchFolder } from '../support/scratch.ts'
import { type Handmade, handmadeArchive } from './handmade.ts'
import { contents, pieces, unpack } from './support.ts'

const hello = Buffer.from('hello '.repeat(20))
const noise = randomBytes(50)

function saved(): string {
  const folder = scratchFolder()
  mkdirSync(join(folder, 'x'))
  writeFileSync(join(folder, 'a.csv'), hello)
  writeFileSync(join(folder, 'x', 'b.bin'), noise)
  writeFileSync(join(folder, 'empty'), '')
  return folder
}

describe('made by real programs', () => {
  test.skipIf(!requireReal('zip'))(
    'zip: into a file, into a pipe, from a pipe, with 64-bit sizes and without',
    async () => {
      const cwd = saved()
      for (const wide of [['-fz'], ['-fz-'], []]) {
        execFileSync('zip', ['-q', '-r', ...wide, `out${wide}.zip`, 'a.csv', 'x', 'empty'], { cwd })
        const all = [
          ['a.csv', hello.toString()],
          ['x/', ''],
          ['x/b.bin', noise.toString('latin1')],
          ['empty', '']
        ]
        expect(contents(await unpack(createReadStream(join(cwd, `out${wide}.zip`))))).toEqual(all)
        const piped = execFileSync('zip', ['-q', ...wide, '-', 'a.csv', 'empty'], { cwd })
        expect(contents(await unpack(pieces(piped, 11)))).toEqual([all[0], all[3]])
        const stdin = execFileSync('zip', ['-q', ...wide, '-', '-'], { cwd, input: hello })
        expect(contents(await unpack(pieces(stdin, 11)))).toEqual([['-', hello.toString()]])
      }
    }
  )

  test.skipIf(!requireReal('zip'))('zip: a comment, a name beyond ASCII, a password, another packing', async () => {
    const cwd = saved()
    writeFileSync(join(cwd, 'zähler.csv'), hello)
    execFileSync('zip', ['-q', '-z', 'c.zip', 'zähler.csv'], { cwd, input: 'made by zip\n' })
    expect(contents(await unpack(createReadStream(join(cwd, 'c.zip'))))).toEqual([['zähler.csv', hello.toString()]])
    execFileSync('zip', ['-q', '-P', 'secret', 'p.zip', 'a.csv'], { cwd })
    await expect(unpack(createReadStream(join(cwd, 'p.zip')))).rejects.toMatchObject({ code: 'ZIP_ENCRYPTED' })
    execFileSync('zip', ['-q', '-Z', 'bzip2', 'b.zip', 'a.csv'], { cwd })
    await expect(unpack(createReadStream(join(cwd, 'b.zip')))).rejects.toThrow('packed by bzip2')
  })

  test.skipIf(!requireReal('zip'))(
    'zip: an archive of several files is refused, its first one and its last',
    async () => {
      const cwd = saved()
      writeFileSync(join(cwd, 'long'), randomBytes(200_000))
      execFileSync('zip', ['-q', '-s', '64k', 'split.zip', 'long', 'a.csv'], { cwd })
      await expect(unpack(createReadStream(join(cwd, 'split.z01')))).rejects.toThrow('the first part of several')
      const last = await unpack(createReadStream(join(cwd, 'split.zip'))).catch(error => error)
      // Its last part begins in the middle of a member: no archive by its first bytes.
      expect(last).toMatchObject([{ packed: false }])
    }
  )

  test.skipIf(!requireReal('python3'))('python: into a file, into a pipe, with 64-bit sizes', async () => {
    const cwd = saved()
    const script = `
import sys, zipfile
with zipfile.ZipFile('out.zip', 'w', zipfile.ZIP_DEFLATED) as z:
    z.write('a.csv'); z.write('x'); z.write('x/b.bin', compress_type=0); z.write('empty')
    z.writestr('z\\u00e4hler.csv', 'hello')
class Pipe:
    def write(self, b): return sys.stdout.buffer.write(b)
    def flush(self): pass
with zipfile.ZipFile(Pipe(), 'w', zipfile.ZIP_DEFLATED) as z:
    z.write('a.csv')
    z.write('x')
    with z.open('wide.csv', 'w', force_zip64=True) as f: f.write(open('a.csv', 'rb').read())
    with z.open('wide-and-empty', 'w', force_zip64=True) as f: pass
`
    const piped = await unpack(execFileSync('python3', ['-c', script], { cwd }))
    expect(contents(piped)).toEqual([
      ['a.csv', hello.toString()],
      ['x/', ''],
      ['wide.csv', hello.toString()],
      ['wide-and-empty', '']
    ])
    const written = await unpack(createReadStream(join(cwd, 'out.zip')))
    expect(contents(written)).toEqual([
      ['a.csv', hello.toString()],
      ['x/', ''],
      ['x/b.bin', noise.toString('latin1')],
      ['empty', ''],
      ['zähler.csv', 'hello']
    ])
  })

  test.skipIf(!requireReal('python3'))(
    'python reads what is written by hand for these tests, and finds the same',
    async () => {
      const cwd = scratchFolder()
      const content = 'PK\u0003\u0004 said the file'
      const kinds: Handmade[] = [
        { content },
        { content, method: 0 },
        { content, zip64: true },
        ...[true, false].flatMap(signed => [true, false].map(wide => ({ content, descriptor: { signed, wide } })))
      ]
      for (const [i, kind] of kinds.entries()) {
        writeFileSync(join(cwd, `${i}.zip`), handmadeArchive([kind, { ...kind, name: 'b' }]))
      }
      const script = `
import json, zipfile
out = []
for i in range(${kinds.length}):
    with zipfile.ZipFile('%d.zip' % i) as z:
        assert z.testzip() is None
        out.append([[n, z.read(n).decode('latin1')] for n in z.namelist()])
print(json.dumps(out))
`
      const theirs = JSON.parse(execFileSync('python3', ['-c', script], { cwd, encoding: 'utf8' }))
      const ours = await Promise.all(kinds.map((_, i) => unpack(createReadStream(join(cwd, `${i}.zip`)))))
      expect(theirs).toEqual(ours.map(contents))
      expect(ours.map(contents)).toEqual(kinds.map(() => ['a.csv', 'b'].map(name => [name, content])))
    }
  )
})
