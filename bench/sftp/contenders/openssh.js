import { fetchWith } from '../openssh.js'

export { version } from '../openssh-version.js'
export const settings = '`sftp`, its defaults: `-B 32768 -R 64`'

export const open = place => fetchWith(['-B', '32768', '-R', '64'], place)
