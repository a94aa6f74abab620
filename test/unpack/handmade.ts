import { crc32, deflateRawSync } from 'node:zlib'

/** A member written by hand, as some other writer makes it, and what it says that is not the plain truth. */
export interface Handmade {
  readonly name?: string | Buffer
  readonly content?: string | Buffer
  readonly method?: number
  readonly flags?: number
  /** Deflate level; 0 leaves the bytes as they are, inside a deflate stream. */
  readonly level?: number
  /** Sizes in an extra field of 64 bits; in the directory the place, too. */
  readonly zip64?: boolean
  /** Sizes and CRC behind the data. */
  readonly descriptor?: { readonly signed: boolean; readonly wide: boolean }
  /** More extra fields of both headers. */
  readonly extra?: Buffer
  /** What everything says of the member. */
  readonly lie?: { readonly crc?: number; readonly packedSize?: number; readonly size?: number }
  /** What the directory alone says. */
  readonly listed?: Listed | undefined
}

interface Listed {
  readonly name?: string
  readonly method?: number
  readonly flags?: number
  readonly crc?: number
  readonly packedSize?: number
  readonly size?: number
  readonly offset?: number
  readonly disk?: number
}

/** The records at the end. */
export interface Ending {
  /** 64-bit records before the end record, whose numbers are all ones then. */
  readonly wide?: boolean
  readonly comment?: Buffer
  /** What the end record says. */
  readonly said?: Partial<Said>
  /** What the 64-bit end record says. */
  readonly wideSaid?: Partial<Said>
  readonly locator?: { readonly disk?: number; readonly at?: number; readonly disks?: number }
}

interface Said {
  readonly disk: number
  readonly startDisk: number
  readonly here: number
  readonly members: number
  readonly size: number
  readonly at: number
}

/** An archive of these members, with 64-bit records when one of them asks for it. */
export function handmadeZip(...members: Handmade[]): Buffer {
  return handmadeArchive(members)
}

export function handmadeArchive(members: readonly Handmade[], ending: Ending = {}): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const member of members) {
    const { local, central } = handmade(member, at)
    parts.push(local)
    directory.push(central)
    at += local.length
  }
  const { wide = members.some(({ zip64 }) => zip64), comment = Buffer.alloc(0), said = {} } = ending
  const size = directory.reduce((sum, { length }) => sum + length, 0)
  const truth = { disk: 0, startDisk: 0, here: members.length, members: members.length, size, at }
  const ones = { here: 0xffff, members: 0xffff, size: 0xffffffff, at: 0xffffffff }
  return Buffer.concat([
    ...parts,
    ...directory,
    ...(wide ? wideEnd(truth, ending) : []),
    endRecord({ ...truth, ...(wide ? ones : {}), ...said }, comment)
  ])
}

export function endRecord({ disk, startDisk, here, members, size, at }: Said, comment: Buffer): Buffer {
  const counts = numbers([2, disk], [2, startDisk], [2, here], [2, members], [4, size], [4, at], [2, comment.length])
  return Buffer.concat([numbers([4, 0x06054b50]), counts, comment])
}

function wideEnd(truth: Said, { wideSaid = {}, locator = {} }: Ending): Buffer[] {
  const { disk, startDisk, here, members, size, at } = { ...truth, ...wideSaid }
  const { disk: locatorDisk = 0, at: endAt = truth.at + truth.size, disks = 1 } = locator
  return [
    numbers([4, 0x06064b50], [8, 44], [2, 45], [2, 45], [4, disk], [4, startDisk], [8, here], [8, members]),
    numbers([8, size], [8, at]),
    numbers([4, 0x07064b50], [4, locatorDisk], [8, endAt], [4, disks])
  ]
}

function handmade({ name = 'a.csv', content = 'hello', method = 8, ...more }: Handmade, offset: number) {
  const { flags = 0, level = 6, zip64 = false, descriptor, lie = {}, listed = {}, extra = Buffer.alloc(0) } = more
  const bytes = Buffer.from(content as string, 'latin1')
  const packed = method === 8 ? deflateRawSync(bytes, { level }) : bytes
  const { crc = crc32(bytes), packedSize = packed.length, size = bytes.length } = lie
  const local = { name: Buffer.from(name as string, 'latin1'), flags: descriptor ? flags | 8 : flags, method }
  const sums = { crc, packedSize, size }
  const nothing = { crc: 0, packedSize: 0, size: 0 }
  const central = { ...local, ...sums, offset, disk: 0, ...listed, name: Buffer.from(listed.name ?? local.name) }
  return {
    local: Buffer.concat([
      header([4, 0x04034b50], { ...local, ...(descriptor ? nothing : sums) }, zip64, extra),
      packed,
      descriptor ? descriptorOf(sums, descriptor) : numbers()
    ]),
    central: header([4, 0x02014b50], central, zip64, extra, central)
  }
}

interface Fields extends Required<Pick<Listed, 'method' | 'flags' | 'crc' | 'packedSize' | 'size'>> {
  readonly name: Buffer
}

/** A header of either kind; the directory's has its place besides. */
function header(
  signature: readonly [number, number],
  { name, method, flags, crc, packedSize, size }: Fields,
  zip64: boolean,
  more: Buffer,
  place?: { readonly offset: number; readonly disk: number }
): Buffer {
  const offset = place ? ([[8, place.offset]] as const) : []
  // A field that nobody knows comes first: it has to be passed over.
  const wide = [
    [2, 0xcafe],
    [2, 1],
    [1, 7],
    [2, 1],
    [2, place ? 24 : 16],
    [8, size],
    [8, packedSize],
    ...offset
  ] as const
  const extra = Buffer.concat([zip64 ? numbers(...wide) : numbers(), more])
  const [shownPacked, shownSize, shownOffset] = zip64 ? ones : [packedSize, size, place?.offset ?? 0]
  return Buffer.concat([
    numbers(signature, ...(place ? [[2, 45] as const] : []), [2, 45], [2, flags], [2, method], [4, 0]),
    numbers([4, crc], [4, shownPacked], [4, shownSize], [2, name.length], [2, extra.length]),
    place ? numbers([2, 0], [2, place.disk], [2, 0], [4, 0], [4, shownOffset]) : numbers(),
    name,
    extra
  ])
}

const ones = [0xffffffff, 0xffffffff, 0xffffffff] as const

export function descriptorOf(
  { crc, packedSize, size }: { readonly crc: number; readonly packedSize: number; readonly size: number },
  { signed, wide }: { readonly signed: boolean; readonly wide: boolean }
): Buffer {
  const length = wide ? 8 : 4
  return Buffer.concat([
    signed ? numbers([4, 0x08074b50]) : numbers(),
    numbers([4, crc], [length, packedSize], [length, size])
  ])
}

/** Numbers of so many bytes each, the lowest byte first. */
export function numbers(...fields: readonly (readonly [bytes: number, value: number])[]): Buffer {
  const parts = fields.map(([length, value]) => {
    const part = Buffer.alloc(length)
    if (length < 8) part.writeUIntLE(value, 0, Math.min(length, 6))
    else part.writeBigUInt64LE(BigInt(value))
    return part
  })
  return Buffer.concat(parts)
}
