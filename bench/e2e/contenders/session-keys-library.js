// No rival: only the private-key operations of all files, by openpgp's own operation, on two threads.

import { versionOf } from '../../shared/package-version.js'
import { openSessionKeys } from '../session-keys.js'

export const version = versionOf('openpgp')
export const settings = '`decryptSessionKeys` of openpgp, two threads, nothing else'
export const open = files => openSessionKeys(files, 'library')
