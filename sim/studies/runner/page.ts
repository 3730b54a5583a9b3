/** The page of all studies: one HTML file with every figure in it, which needs no network and no scripts. */
import type { Report, Row } from '../study.ts'
import { countVerdicts, formatOurs, formatPublished, VERDICTS } from './rows.ts'

export interface PageStudy {
  readonly name: string
  readonly title: string
  readonly source: string
  /** What makes it again. */
  readonly command: string
  readonly report: Report
  /** SVG texts of `report.figures`, in their order. */
  readonly drawings: readonly string[]
}

export interface Page {
  readonly version: string
  readonly command: string
  readonly studies: readonly PageStudy[]
  /** Studies that could not be run here, and why. */
  readonly missing: readonly { readonly name: string; readonly why: string }[]
}

const MEANING = {
  reproduced: 'the published value, within three combined standard errors',
  corrected: 'the published value is off, and ours is what it should be',
  differs: 'neither, for the reason given',
} as const

const STYLE = `
:root { color-scheme: light; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 50rem; color: #1a1a1a; background: #fff;
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 3.5rem 0 .25rem; padding-top: 1.25rem; border-top: 1px solid #ddd; }
h3 { font-size: 1rem; margin: 2rem 0 .5rem; }
a { color: #0b57a4; }
p { margin: .5rem 0; }
code { font: .875em ui-monospace, monospace; background: #f4f4f4; padding: .1em .35em; border-radius: 3px; }
.quiet { color: #595959; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; line-height: 1.4; margin: .75rem 0; }
th { text-align: left; font-weight: 600; border-bottom: 2px solid #1a1a1a; padding: .35rem .6rem .35rem 0; }
td { border-bottom: 1px solid #e4e4e4; padding: .35rem .6rem .35rem 0; vertical-align: top; }
td.why { border-bottom: 1px solid #e4e4e4; padding: 0 0 .45rem 1rem; color: #595959; }
tr.explained td { border-bottom: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.reproduced { color: #1b6e33; }
.corrected { color: #0b57a4; }
.differs { color: #a33a00; }
figure { margin: 1.75rem 0; }
figure svg { display: block; max-width: 100%; height: auto; }
figcaption { font-size: .875rem; margin-top: .35rem; }
@media print { h2 { break-before: page; } figure, tr { break-inside: avoid; } }
`

export function renderPage({ version, command, studies, missing }: Page): string {
  const all = countVerdicts(studies.flatMap(({ report }) => report.rows))
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Chorale: published results, run again</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Published results, run again</h1>
<p>Tables and figures of the papers that Chorale builds on, measured again in its simulator and set beside what was
published. Made by Chorale ${html(version)} with <code>${html(command)}</code>; the same command makes the same page.</p>
<p>Of ${all.reproduced + all.corrected + all.differs} published values, <strong class="reproduced">${all.reproduced}
reproduced</strong>, <strong class="corrected">${all.corrected} corrected</strong> and
<strong class="differs">${all.differs} differ</strong>.</p>
</header>
<nav aria-label="Studies">
<div class="wide"><table>
<tr><th>study</th><th>measures</th>${VERDICTS.map((verdict) => `<th class="number">${verdict}</th>`).join('')}</tr>
${studies.map(contentsLine).join('\n')}
</table></div>
<p class="quiet">${VERDICTS.map((verdict) => `<span class="${verdict}">${verdict}</span>: ${MEANING[verdict]}`).join('; ')}.
A row without a verdict has nothing published beside it, or was run once only. Intervals are of 95 %; of two or three seeds
they are wide, and the verdicts say little.</p>
${missing.map(({ name, why }) => `<p>Not here: <code>${html(name)}</code>. ${html(why)}</p>`).join('\n')}
</nav>
<main>
${studies.map(renderStudy).join('\n')}
</main>
</body>
</html>
`
}

function contentsLine({ name, title, report }: PageStudy): string {
  const counts = countVerdicts(report.rows)
  const cells = VERDICTS.map((verdict) => `<td class="number">${counts[verdict]}</td>`).join('')
  return `<tr><td><a href="#${html(name)}">${html(name)}</a></td><td>${html(title)}</td>${cells}</tr>`
}

function renderStudy({ name, title, source, command, report, drawings }: PageStudy): string {
  const files = report.tables.map((table) => `<a href="${name}/${table.name}.csv">${table.name}.csv</a>`)
  return `<section id="${html(name)}">
<h2>${html(name)}: ${html(title)}</h2>
<p class="quiet">${html(source)}</p>
<p><code>${html(command)}</code></p>
${(report.notes ?? []).map((note) => `<p>${html(note)}</p>`).join('\n')}
<div class="wide"><table>
<tr><th>what</th><th class="number">published</th><th class="number">ours</th><th>verdict</th></tr>
${report.rows.map(renderRow).join('\n')}
</table></div>
${report.figures
  .map(
    ({ name: figure, title: figureTitle, caption }, i) => `<figure id="${name}-${figure}">
${drawings[i]}
<figcaption><strong>${html(figureTitle)}.</strong> ${html(caption)} <span class="quiet"><code>${html(command)}</code>,
<a href="${name}/${figure}.svg">${figure}.svg</a></span></figcaption>
</figure>`,
  )
  .join('\n')}
${files.length > 0 ? `<p class="quiet">Data: ${files.join(', ')}</p>` : ''}
</section>`
}

function renderRow(row: Row): string {
  const verdict = row.verdict === null ? '<td class="quiet">-</td>' : `<td class="${row.verdict}">${row.verdict}</td>`
  const line = `<tr${row.why ? ' class="explained"' : ''}><td>${html(row.name)}</td><td class="number">${formatPublished(
    row.published,
  )}</td><td class="number">${formatOurs(row, '±')}</td>${verdict}</tr>`
  return row.why ? `${line}\n<tr><td class="why" colspan="4">${html(row.why)}</td></tr>` : line
}

function html(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
