/** Rows of studies as text, and what must hold of them. */
import { ChoraleError } from '../../../src/core/errors.ts'
import type { Report, Row, Verdict } from '../study.ts'

export const VERDICTS = ['reproduced', 'corrected', 'differs'] as const satisfies readonly Verdict[]

/** @throws ChoraleError `internal`: the report is not what `Report` says. */
export function checkReport(study: string, { rows, tables, figures, summary = {} }: Report): void {
  const broken = (what: string) => new ChoraleError('internal', `study ${study}: ${what}`)
  for (const kind of [rows, tables, figures]) {
    const names = new Set<string>()
    for (const { name } of kind) {
      if (names.has(name)) throw broken(`two times "${name}"`)
      names.add(name)
    }
  }
  for (const { name } of [...tables, ...figures]) {
    if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) throw broken(`"${name}" is no name of a file`)
  }
  if (tables.some(({ name }) => name === ROWS_FILE)) throw broken(`a table is named ${ROWS_FILE}, which the rows have`)
  for (const { name, columns, rows: lines } of tables) {
    if (lines.some((line) => line.length !== columns.length)) throw broken(`table ${name} has lines of other lengths`)
  }
  for (const { name, published, ours, ci95, verdict, why } of rows) {
    if (!Number.isFinite(ours)) throw broken(`${name}: ours is ${ours}`)
    if (ci95 !== null && !(ci95 >= 0)) throw broken(`${name}: the confidence interval is ${ci95}`)
    if (published === null && verdict !== null) throw broken(`${name}: a verdict on nothing published`)
    if ((verdict === 'corrected' || verdict === 'differs') && !why) throw broken(`${name}: ${verdict}, and no word why`)
  }
  for (const [name, value] of Object.entries(summary)) {
    if (JSON_FIELDS.includes(name)) throw broken(`a value of the summary is named ${name}, which the line of JSON has`)
    if (!Number.isFinite(value)) throw broken(`${name} of the summary is ${value}`)
  }
}

/** What the line of JSON says of every study; a summary has other names. */
const JSON_FIELDS = ['v', 'type', 'study', 'rows', 'differs']

/** The table of rows, beside those of the report. */
export const ROWS_FILE = 'rows'

export function countVerdicts(rows: readonly Row[]): Record<Verdict, number> {
  const count = (verdict: Verdict) => rows.filter((row) => row.verdict === verdict).length
  return { reproduced: count('reproduced'), corrected: count('corrected'), differs: count('differs') }
}

/** Four digits, or whole: `0.9763`, `1,003` never, `1.6e-7`. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value)
  return String(Number(value.toPrecision(4)))
}

/** With as many decimals as the interval has that are worth telling: `0.9763 +- 0.0021`. */
export function formatOurs({ ours, ci95 }: Pick<Row, 'ours' | 'ci95'>, plusMinus = '+-'): string {
  if (!ci95) return formatNumber(ours)
  const decimals = Math.max(0, 1 - Math.floor(Math.log10(ci95)))
  if (decimals > 8 || Math.abs(ours) >= 1e7) return `${formatNumber(ours)} ${plusMinus} ${formatNumber(ci95)}`
  return `${ours.toFixed(decimals)} ${plusMinus} ${ci95.toFixed(decimals)}`
}

export function formatPublished(published: number | null): string {
  return published === null ? '-' : String(published)
}

/** A table for a terminal: aligned, the reasons below their rows. */
export function formatRows(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    row.name,
    formatPublished(row.published),
    formatOurs(row),
    row.verdict ?? '-',
    row.why ?? '',
  ])
  const titles = ['', 'published', 'ours', 'verdict']
  const widths = titles.map((title, i) => Math.max(title.length, ...lines.map((line) => line[i]!.length)))
  const aligned = (cells: readonly string[]) =>
    cells.map((cell, i) => (i === 1 || i === 2 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join('  ')
  const out = [aligned(titles).trimEnd()]
  for (const line of lines) {
    out.push(aligned(line.slice(0, 4)).trimEnd())
    if (line[4]) out.push(`    ${line[4]}`)
  }
  return `${out.join('\n')}\n`
}
