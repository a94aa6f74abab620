import { isAdminToken } from '../../../../../lib/admin-token'

// SMT takes connections from one server only, and Vercel is not it. So this route tells where to look, and imports
// nothing that could ask SMT itself.
const answer = {
  ok: false,
  status: 501,
  message: 'SMT JWT token must be tested from the whitelisted SMT droplet, not from Vercel.',
  instructions: {
    dropletHost: 'intelliwatt-smt-proxy',
    scriptPath: '/home/deploy/smt_token_test.sh',
    note: 'This route intentionally returns 501 because SMT only whitelists the droplet IP. Use the droplet script for live JWT verification.'
  },
  integration: {
    endpoint: 'https://services.smartmetertexas.net/v2/token/',
    authFlow: 'POST with { username: SMT_USERNAME, password: SMT_PASSWORD }',
    usernameEnv: 'SMT_USERNAME=INTELLIPATH',
    baseUrlEnv: 'SMT_API_BASE_URL=https://services.smartmetertexas.net'
  }
}

export const dynamic = 'force-dynamic'
const headers = { 'cache-control': 'no-store' }

export function GET(request: Request): Response {
  if (!isAdminToken(request.headers.get('x-admin-token'))) {
    return Response.json({ ok: false, error: 'Unauthorized' }, { status: 401, headers })
  }
  return Response.json(answer, { status: 501, headers })
}
