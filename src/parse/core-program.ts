import { compiled } from './core/compiled.ts'

/** A number that the core keeps; those of 64 bits are bigints. */
interface Variable<T = number> {
  readonly value: T
}

/** The core's variables that are read from here; core/index.ts tells what each is. */
type VariableName =
  | ('dayTable' | 'roles' | 'esiid' | 'at' | 'end' | 'rowStart' | 'rowEnd' | 'outcome' | 'unknownDay' | 'line')
  | ('read' | 'accepted' | 'placeholders' | 'missing' | 'estimated' | 'first' | 'last')
  | ('rowGroup' | 'duplicates' | 'conflicts' | 'overlaps' | 'unchecked')

export interface CoreExports extends Readonly<Record<VariableName, Variable>> {
  readonly consumed: Variable<bigint>
  readonly surplus: Variable<bigint>
  readonly memory: { readonly buffer: ArrayBuffer }
  mix(head: bigint, tail: bigint): void
  setUp(rows: number, lengths: number, longestLine: number): void
  beginFile(): void
  beginEntry(columns: number, alike: number, headerLine: number): void
  makeRoom(): number
  give(bytes: number): void
  scan(): number
  identify(digits: number, revisionDay: number, revisionSecond: number): void
  place(day: number, start: number, end: number, direction: number, reading: number, estimated: number): number
  placeAt(day: number, minute: number, length: number, direction: number, reading: number, estimated: number): number
  takeGroup(day: number, direction: number): void
  closeHour(): number
  takeEnded(): number
  beginLine(line: number): void
  emptyBatch(): void
  column(n: number): number
  batchLength(): number
  textsLength(): number
}

/** The part of WebAssembly that is used; TypeScript knows it only beside a browser's types. */
interface WebAssemblyPart {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (program: object) => { readonly exports: unknown }
}

let program: object | undefined

/** Starts one core. It is compiled at the first call, which takes some milliseconds. */
export function startCore(): CoreExports {
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyPart }).WebAssembly
  program ??= new Module(Buffer.from(compiled, 'base64'))
  return new Instance(program).exports as CoreExports
}
