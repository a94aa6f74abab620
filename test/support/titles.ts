import { readFileSync } from 'node:fs'
import ts from 'typescript'

/** A test, or a group of them. */
export interface Titled {
  /** Its titles from the outermost group on, joined by ` › `. */
  readonly path: string
  /** Where it stands: a table of tests stands in one place, whatever each of its rows is called. */
  readonly at: number
}

const titled = new Set(['test', 'it', 'describe'])
/** What is written down and never runs counts for nothing. */
const idle = new Set(['skip', 'todo'])

/**
 * Every test and group of tests that stands in a file. What only a run knows of a title is `…`, or stays as it was written
 * (`%s`); where the rows of a table begin with a text, each row is there under its own title too.
 */
export function titlesIn(path: string): Titled[] {
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest)
  const found: Titled[] = []
  const walk = (node: ts.Node, above: string): void => {
    const titles = ts.isCallExpression(node) ? titlesOf(node) : undefined
    for (const title of titles ?? []) {
      const path = above === '' ? title : `${above} › ${title}`
      found.push({ path, at: node.pos })
      ts.forEachChild(node, child => walk(child, path))
    }
    if (!titles) ts.forEachChild(node, child => walk(child, above))
  }
  walk(source, '')
  return found
}

/** The titles that a call gives to tests; undefined when it is no such call. */
function titlesOf({ expression, arguments: [title] }: ts.CallExpression): string[] | undefined {
  let table: ts.Node | undefined
  let callee: ts.Node = expression
  // From test.skipIf(…).each([…])('title', …) inwards to the name that it begins with.
  for (;;) {
    if (ts.isCallExpression(callee)) {
      table ??= callee.arguments[0]
      callee = callee.expression
    } else if (ts.isPropertyAccessExpression(callee)) {
      if (idle.has(callee.name.text)) return undefined
      callee = callee.expression
    } else break
  }
  const text = title && textOf(title)
  if (!ts.isIdentifier(callee) || !titled.has(callee.text) || text === undefined) return undefined
  const rows = table && ts.isArrayLiteralExpression(table) && text.includes('%s') ? table.elements : []
  return [text, ...rows.map(firstTextOf).flatMap(first => (first === undefined ? [] : text.replace('%s', first)))]
}

/** The text that a row of a table begins with, or that it is. */
function firstTextOf(row: ts.Expression): string | undefined {
  const first = ts.isArrayLiteralExpression(row) ? row.elements[0] : row
  return first && textOf(first)
}

function textOf(node: ts.Node): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text
  if (!ts.isTemplateExpression(node)) return undefined
  return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('')
}
