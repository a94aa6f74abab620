import { createRequire } from 'node:module'

/**
 * The two SSH packages, loaded when the first {@link SftpSource} is made. They are CommonJS and hold 3 MB of live code,
 * which every garbage collection of a program that only parses would have to walk through: reading a file took twice
 * as long for it.
 */
const require = createRequire(import.meta.url)

export const loadSsh2 = (): typeof import('ssh2') => require('ssh2')

export const loadSftpClient = (): typeof import('ssh2-sftp-client') => require('ssh2-sftp-client')
