import { fetchWith } from '../openssh.js'

export { version } from '../openssh-version.js'
export const settings = '`sftp -B 261120 -R 64`'

export const open = place => fetchWith(['-B', '261120', '-R', '64'], place)
