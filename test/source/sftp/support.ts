import { randomBytes } from 'node:crypto'
import { SftpSource, type SftpSourceOptions } from '../../../src/source/sftp-source.ts'
import { FaultProxy, type FaultProxyOptions } from '../../../src/testing/fault-proxy.ts'
import { FakeSftpServer, type FakeSftpServerOptions } from '../../../src/testing/sftp/server.ts'

/** A server and the line to it, which end with the test. */
export interface Stand extends AsyncDisposable {
  readonly server: FakeSftpServer
  readonly proxy: FaultProxy
  /** A source at the end of the line. */
  source(options?: Partial<SftpSourceOptions>): SftpSource
}

export async function stand(server: FakeSftpServerOptions, line: Omit<FaultProxyOptions, 'port'> = {}): Promise<Stand> {
  const started = await FakeSftpServer.start(server)
  const proxy = await FaultProxy.start({ ...line, port: started.port })
  const { host, login, fingerprint: hostKey } = started
  return {
    server: started,
    proxy,
    source: options =>
      new SftpSource({ host, port: proxy.port, ...login, hostKey, directories: ['/in'], settleMs: 0, ...options }),
    async [Symbol.asyncDispose]() {
      await proxy.close()
      await started.close()
    }
  }
}

/** A file of so many bytes that nobody could guess. */
export function someFile(size: number) {
  return { content: randomBytes(size), modifiedAt: 1_700_000_000_000 }
}
