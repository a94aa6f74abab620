// Bytes and what they are compared with. Behind the last byte stand zeros, which end every cell.

export const LF: u32 = 10
export const CR: u32 = 13
export const QUOTE: u32 = 34
export const COMMA: u32 = 44
const TAB: u32 = 9
export const SPACE: u32 = 32
export const APOSTROPHE: u32 = 39
export const DOT: u32 = 46
export const SLASH: u32 = 47
export const COLON: u32 = 58
export const LETTER_A: u32 = 0x61
export const LETTER_E: u32 = 0x65

export function skipBlanks(p: usize): usize {
  let byte: u32 = load<u8>(p)
  while (byte === SPACE || byte === TAB) byte = load<u8>(++p)
  return p
}

export function digitAt(p: usize): u32 {
  return <u32>load<u8>(p) - 48
}

/** Whether a cell ends here without having begun. */
export function isBlank(p: usize): bool {
  const byte: u32 = load<u8>(p)
  return byte === COMMA || byte === QUOTE || byte === LF || byte === CR
}

/** Eight digits at once, the first of them in the lowest byte. */
export function eightDigits(text: u64): u64 {
  text = ((text & 0x0f0f0f0f0f0f0f0f) * 2561) >> 8
  text = ((text & 0x00ff00ff00ff00ff) * 6553601) >> 16
  return ((text & 0x0000ffff0000ffff) * 42949672960001) >> 32
}
