// Reads its messages, says so, and opens their session keys when it is told to. Answers with how many it opened.
import { constants, createPrivateKey, privateDecrypt } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { decryptSessionKeys, readMessage, readPrivateKey } from 'openpgp'

const { how, privateKey, messages } = workerData
const key = await readPrivateKey({ armoredKey: privateKey })
const readAll = texts => Promise.all(texts.map(armoredMessage => readMessage({ armoredMessage })))
const read = await readAll(messages)

const ways = {
  async library(read) {
    const count = async message => (await decryptSessionKeys({ message, decryptionKeys: key })).length
    let opened = 0
    for (const message of read) opened += await count(message)
    return opened
  },
  async openssl(read) {
    return read.filter(({ packets: [{ encrypted }] }) => isSessionKey(privateDecrypt(opener, encrypted.c))).length
  }
}

// Padding of PKCS #1 is what Node leaves to its callers since OpenSSL's own way to take it off gave away too much.
const opener = how === 'openssl' && { key: await opensslKey(), padding: constants.RSA_NO_PADDING }

// A thread of its own is warm by its own work only. openpgp forgets what it has opened, so these are read anew.
await ways[how](await readAll(messages.slice(0, 10)))
parentPort.postMessage('ready')
parentPort.once('message', async () => parentPort.postMessage(await ways[how](read)))

async function opensslKey() {
  const [{ keyPacket }] = await key.getDecryptionKeys()
  const { n, e } = keyPacket.publicParams
  const { d, p, q, u } = keyPacket.privateParams
  // OpenPGP's `u` is the inverse of p modulo q; a JWK has that of its second prime modulo its first.
  const [exponent, first, second] = [d, q, p].map(number => BigInt(`0x${Buffer.from(number).toString('hex')}`))
  const numbers = { n, e, d, p: q, q: p, qi: u, dp: exponent % (first - 1n), dq: exponent % (second - 1n) }
  const jwk = Object.entries(numbers).map(([name, number]) => [name, bytesOf(number).toString('base64url')])
  return createPrivateKey({ key: { kty: 'RSA', ...Object.fromEntries(jwk) }, format: 'jwk' })
}

function bytesOf(number) {
  if (typeof number !== 'bigint') return Buffer.from(number)
  const hex = number.toString(16)
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')
}

/** `00 02`, noise, `00`, then the cipher, the key, and the sum of the key's bytes. */
function isSessionKey(bytes) {
  if (bytes[0] !== 0 || bytes[1] !== 2) return false
  const key = bytes.subarray(bytes.indexOf(0, 2) + 2, -2)
  const sum = key.reduce((sum, byte) => sum + byte, 0) & 0xffff
  return key.length === 32 && sum === bytes.readUInt16BE(bytes.length - 2)
}
