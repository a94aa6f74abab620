import * as z from 'zod'
import { globToRegExp } from './glob.ts'

/**
 * What matches a name: a pattern with `*` and `?` or a RegExp. Both see the last part of the path only; patterns do not
 * tell upper from lower case.
 */
export type NamePattern = string | RegExp

/** What a name in a directory stands for. */
export type ListedKind = 'file' | 'directory' | 'link' | 'other'

/** The reason to leave an entry out, or undefined to take it. */
export type NameFilter = (entry: { readonly name: string; readonly kind: ListedKind }) => string | undefined

/** Names of half-written files in the habits of uploading programs, and dotfiles. */
export const defaultIgnore: readonly NamePattern[] = ['.*', 'pgp_tmp.*', '*.part*', '*.tmp', '*.filepart']

export const namePatterns = z.array(z.union([z.string().min(1), z.instanceof(RegExp)]))

/** Leaves out what matches `ignore` (directories too), then files that match nothing in `include`. */
export function nameFilter(ignore: readonly NamePattern[], include?: readonly NamePattern[]): NameFilter {
  const ignored = ignore.map(compile)
  const included = include?.map(compile)
  return ({ name, kind }) => {
    const pattern = ignored.find(({ matches }) => matches(name))
    if (pattern) return `ignored by ${pattern.label}`
    if (kind === 'link') return 'it is a symbolic link'
    if (kind === 'other') return 'it is neither a file nor a directory'
    if (kind === 'file' && included && !included.some(({ matches }) => matches(name))) {
      return `matches nothing in include: ${included.map(({ label }) => label).join(', ')}`
    }
    return undefined
  }
}

function compile(pattern: NamePattern): { label: string; matches: (name: string) => boolean } {
  // `search` starts anew each time, where `test` on a RegExp with the g flag would go on from its last match.
  const expression = typeof pattern === 'string' ? globToRegExp(pattern) : pattern
  return { label: String(pattern), matches: name => name.search(expression) !== -1 }
}
