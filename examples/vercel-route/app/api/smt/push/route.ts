import { Receiver } from '@intelliwatt/smt-ingest/http/receive'
import { PushStore } from '../../../../lib/push-store'

const receiver = new Receiver({
  secrets: () => process.env.SMT_PUSH_SECRET,
  store: new PushStore(),
  bodyTimeoutMs: 10_000,
  // Its message alone: details of a database's error may hold the row.
  onError: error => console.error(`/api/smt/push: ${error instanceof Error ? error.message : 'failed'}`)
})

export const dynamic = 'force-dynamic'
export const maxDuration = 60

export function POST(request: Request): Promise<Response> {
  return receiver.handle(request)
}
