import { fetchWith } from '../ours.js'

export { version } from '../ours.js'
export const settings = '`new SftpSource({ channels: 1 })`'

export const open = place => fetchWith({ channels: 1 }, place)
