// Hashes for the core's tables, mixed with numbers that nobody outside knows, so that no file can be written whose rows
// all collide.

let mixHead: u64 = 0
let mixTail: u64 = 0

export function mix(head: u64, tail: u64): void {
  mixHead = head | 1
  mixTail = tail | 1
}

/** The upper bits are the good ones. */
export function hash(head: u64, tail: u64): u64 {
  return head * mixHead + tail * mixTail
}
