/** The examples under every command's help. */

/** Pairs of command and what it does. */
export function examples(...pairs: string[]): string {
  const rows: string[] = []
  const longest = Math.max(...pairs.filter((_, i) => i % 2 === 0).map((text) => text.length))
  for (let i = 0; i < pairs.length; i += 2) rows.push(`  $ ${(pairs[i] ?? '').padEnd(longest)}   ${pairs[i + 1] ?? ''}`)
  return `\nExamples:\n${rows.map((row) => row.trimEnd()).join('\n')}`
}
