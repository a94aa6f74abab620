import { mkdir, rm, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { makeDelivery } from '../testing/delivery.ts'
import { makePgpKey } from '../testing/keys.ts'
import type { DeliveryManifest } from '../testing/manifest.ts'
import { startOpenSshServer } from '../testing/sftp/openssh-server.ts'
import { FakeSftpServer } from '../testing/sftp/server.ts'

/** What the demonstration's SMT is to make. */
export interface DemoOrder {
  readonly directory: string
  readonly meters: number
  readonly days: number
}

/** Where its files are, how to get in, and what must come of them. */
export interface DemoOffer {
  readonly sftp: {
    readonly host: string
    readonly port: number
    readonly username: string
    readonly privateKey: string
    readonly hostKey: string
    readonly directories: readonly string[]
  }
  /** The private half of the key that the files are encrypted to. Thrown away with this process. */
  readonly pgpKey: string
  readonly manifest: DeliveryManifest
}

/** What the user's side is told. */
export interface DemoRun {
  readonly offer: DemoOffer
  /** The database to make. */
  readonly store: string
}

/** The demonstration's SMT while it serves. */
export interface DemoSmt {
  readonly offer: DemoOffer
  /** Which server it is, in words. */
  readonly server: string
  close(): Promise<void>
}

const folders = ['adhocusage', 'EnrollmentReports']

/** Makes the files, encrypts them, and serves them. */
export async function startDemoSmt({ directory, meters, days }: DemoOrder): Promise<DemoSmt> {
  const remote = join(directory, 'remote')
  for (const folder of folders) await mkdir(join(remote, folder), { recursive: true })
  const { privateKey: pgpKey, publicKey } = await makePgpKey({ name: 'demo' })
  const manifest = await makeDelivery({
    publicKey,
    meters,
    days,
    async write(path, bytes, modifiedAt) {
      const target = join(remote, path)
      await mkdir(dirname(target), { recursive: true })
      await writeFile(target, bytes)
      await utimes(target, modifiedAt / 1000, modifiedAt / 1000)
    }
  })
  const { server, sftp, close } = await serve(directory, remote)
  return { server, close, offer: { sftp, pgpKey, manifest } }
}

/** OpenSSH's own server where it is installed and willing, otherwise the embedded one. */
async function serve(directory: string, remote: string): Promise<Omit<DemoSmt, 'offer'> & Pick<DemoOffer, 'sftp'>> {
  const secrets = join(directory, 'server')
  const openSsh = await startOpenSshServer({ directory: secrets })
  if (!('unavailable' in openSsh)) {
    const { host, port, username, privateKey, fingerprint: hostKey } = openSsh
    const directories = folders.map(folder => join(remote, folder))
    return {
      server: 'OpenSSH sshd',
      sftp: { host, port, username, privateKey, hostKey, directories },
      async close() {
        await openSsh.close()
        await rm(secrets, { recursive: true, force: true })
      }
    }
  }
  const fake = await FakeSftpServer.start({ directory: remote })
  const { host, port, login, fingerprint: hostKey } = fake
  const directories = folders.map(folder => `/${folder}`)
  return {
    server: `the embedded SFTP server (${openSsh.unavailable})`,
    sftp: { host, port, ...login, hostKey, directories },
    close: () => fake.close()
  }
}
