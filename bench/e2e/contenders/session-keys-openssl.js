// No rival: only the private-key operations of all files, by OpenSSL's operation, on two threads.
import { openSessionKeys } from '../session-keys.js'

export const version = process.version
export const settings = '`privateDecrypt` of `node:crypto`, two threads, nothing else'
export const open = files => openSessionKeys(files, 'openssl')
