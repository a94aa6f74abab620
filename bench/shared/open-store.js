/** A sink's store opens when it is first needed; a file that is never taken needs it. */
export function openStore(sink) {
  const file = { source: 'bench:', path: '/none', name: 'none', size: 0, modifiedAt: 0 }
  return sink.passOver({ ...file, state: 'ignored', reason: 'opens the store' })
}
