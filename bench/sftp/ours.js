// Our contenders: the file as `files()` offers it, read to its end and verified.
import { SftpSource } from '../../dist/index.js'
import { ownVersion } from '../shared/package-version.js'

export const version = ownVersion

export async function fetchWith(options, { host, port, username, privateKey, fingerprint, folder }) {
  const source = new SftpSource({
    ...{ host, port, username, privateKey, hostKey: fingerprint, directories: [folder], settleMs: 0 },
    ...options
  })
  const files = source.files()
  const { value: file } = await files.next()
  return {
    async load() {
      for await (const _ of file.stream());
      const { bytes, sha256 } = await file.verify()
      return { bytes, sha256 }
    },
    close: () => files.return()
  }
}
