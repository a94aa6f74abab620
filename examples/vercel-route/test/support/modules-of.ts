import { existsSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'

/** What a built route is made of, as Next.js traced it for deployment. */
export interface RouteModules {
  /** The packages that any of its files is of. */
  readonly packages: readonly string[]
  /** The files of this app. */
  readonly own: readonly string[]
}

/** Reads the trace of a route, and the source maps of the bundles in it, which tell the files that went into them. */
export function modulesOf(route: string): RouteModules {
  const folder = join('.next/server/app', route)
  const { files } = readJson(join(folder, 'route.js.nft.json')) as { files: string[] }
  const traced = files.map(file => resolve(folder, file))
  const sources = traced.filter(file => existsSync(`${file}.map`)).flatMap(file => sourcesOf(`${file}.map`))
  const paths = new Set([...traced, ...sources].map(file => relative('.', file)))
  const packages = new Set<string>()
  const own: string[] = []
  for (const path of paths) {
    const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]
    if (name !== undefined) packages.add(name)
    else if (!path.startsWith('.next/')) own.push(path)
  }
  return { packages: [...packages].sort(), own: own.sort() }
}

function sourcesOf(map: string): string[] {
  const { sources, sections = [] } = readJson(map) as SourceMap
  const all = sources ?? sections.flatMap(section => section.map.sources ?? [])
  // Addresses, so `@` is `%40` in them.
  return all.map(source => resolve(map, '..', decodeURIComponent(source)))
}

interface SourceMap {
  readonly sources?: string[]
  readonly sections?: readonly { readonly map: { readonly sources?: string[] } }[]
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'))
}
