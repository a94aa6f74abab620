// The usual end of a row, read at once.

import { COLON, COMMA, CR, DOT, digitAt, LF, readDirection, SPACE, takeTail } from './cells'

/**
 * The last five cells as SMT writes them, and its line end: ` 00:00, 00:15,0.231,A,Consumption`. Everything else is for
 * the readers above.
 */
export function readTail(p: usize): usize {
  if (<u32>load<u8>(p) === SPACE) p++
  const from = clockAt(p)
  if (<u32>load<u8>(p + 5) !== COMMA) return 0
  p += 6
  if (<u32>load<u8>(p) === SPACE) p++
  const until = clockAt(p)
  if ((from | until) < 0 || until > 1440 || <u32>load<u8>(p + 5) !== COMMA) return 0
  p += 6
  let sum: u32 = 0
  const number = p
  let digit = digitAt(p)
  while (digit <= 9) {
    sum = sum * 10 + digit
    digit = digitAt(++p)
  }
  if (p - number > 5 || p === number || <u32>load<u8>(p) !== DOT) return 0
  const a = digitAt(p + 1)
  const b = digitAt(p + 2)
  const c = digitAt(p + 3)
  if (a > 9 || b > 9 || c > 9 || <u32>load<u8>(p + 4) !== COMMA) return 0
  const letter = <u32>load<u8>(p + 5)
  if ((letter !== 65 && letter !== 69) || <u32>load<u8>(p + 6) !== COMMA) return 0
  p = readDirection(p + 7)
  if (p === 0) return 0
  if (<u32>load<u8>(p) === CR) p++
  if (<u32>load<u8>(p) !== LF) return 0
  takeTail(from, until, <i64>(sum * 1000 + a * 100 + b * 10 + c) * 100, letter === 69 ? 1 : 0)
  return p + 1
}

/** `HH:MM` as minutes of the day; negative when it is something else. */
function clockAt(p: usize): i32 {
  const a = digitAt(p)
  const b = digitAt(p + 1)
  const c = digitAt(p + 3)
  const d = digitAt(p + 4)
  if (a > 2 || b > 9 || c > 5 || d > 9 || <u32>load<u8>(p + 2) !== COLON) return -1
  return <i32>((a * 10 + b) * 60 + c * 10 + d)
}
