import { spawnSync } from 'node:child_process'

export const version = spawnSync('ssh', ['-V'], { encoding: 'utf8' }).stderr.trim().split(',')[0]
