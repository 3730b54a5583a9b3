/** Numbers, times and tables as text for people. No locale: the same on every machine. */
import type { JobView, Json } from '../mapreduce/types.ts'

/** 1234567 -> 1,234,567 */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ',')
}

/** 1 block, 1,234 blocks */
export function some(value: number, thing: string): string {
  return `${count(value)} ${thing}${value === 1 ? '' : 's'}`
}

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  let scaled = value / 1024
  let unit = 0
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024
    unit++
  }
  return `${scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)} ${units[unit]}`
}

/** 12 MiB/s */
export function rate(bytesPerSecond: number): string {
  return `${bytes(Math.round(bytesPerSecond))}/s`
}

/** A name that somebody else made, without what a terminal would obey; others are as they are. */
export function safeName(name: string): string {
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(name) ? JSON.stringify(name).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escaped) : name
}

function escaped(character: string): string {
  return [...character].map((part) => `\\u{${(part.codePointAt(0) ?? 0).toString(16)}}`).join('')
}

/** A text of a stranger's as one line, without what a terminal would obey. */
export function plain(text: string): string {
  return text.replace(/\s*[\t\n\r]\s*/g, ' ').replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd')
}

export function logLine(task: number, text: string): string {
  return `task ${task} | ${plain(text.replace(/\t/g, '    '))}`
}

export function span(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
  return `${Math.floor(minutes / 1440)} days`
}

/** Of an estimate: milliseconds would only pretend to be exact. */
export function remaining(ms: number, about: string): string {
  return ms < 1000 ? 'less than 1 s left' : `${about}${span(ms)} left`
}

/** 2026-01-31 17:05:09 UTC */
export function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

export function percent(part: number, whole: number): string {
  // Never 100 % before the end.
  return whole > 0 ? `${Math.floor((part / whole) * 100)} %` : '0 %'
}

/** How much of a job is done, parts of its tasks included as far as they tell. */
export function share({ done, partly = 0, total }: JobView['tasks']): string {
  return percent(Math.min(total, done + partly), total)
}

/** Ids are long; twelve characters tell a few hundred jobs apart, the commands accept any unique prefix. */
export function shortId(id: string): string {
  return id.length > 20 ? id.slice(0, 16) : id
}

/** The end of a peer id tells hosts apart; its beginning is the same for all. */
export function shortPeer(peer: string): string {
  return peer.length > 12 ? `..${peer.slice(-8)}` : peer
}

export function columns(rows: ReadonlyArray<readonly string[]>): string {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length)
    })
  }
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** `label  value` lines. */
export function facts(entries: ReadonlyArray<readonly [string, string | undefined]>): string {
  return columns(entries.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/** `3.141592 ± 0.000052`, as many digits as the interval lets one believe and one more; other values as JSON. */
export function value(of: Json | undefined): string | undefined {
  if (of === undefined || of === null) return undefined
  if (typeof of === 'object' && !Array.isArray(of) && typeof of.pi === 'number') {
    const half = halfWidth(of.ci95)
    if (half === undefined || !(half > 0)) return String(of.pi)
    const digits = Math.min(15, Math.max(2, 1 - Math.floor(Math.log10(half))))
    return `${of.pi.toFixed(digits)} ± ${half.toFixed(digits)}`
  }
  return typeof of === 'string' ? of : JSON.stringify(of)
}

/** Half the width of an interval that is given as such, or as [low, high]. */
export function halfWidth(interval: Json | undefined): number | undefined {
  if (typeof interval === 'number') return interval
  if (!Array.isArray(interval)) return undefined
  const [low, high] = interval
  return typeof low === 'number' && typeof high === 'number' ? (high - low) / 2 : undefined
}

/** What the job was asked to do, in one line. */
export function jobTitle(job: Pick<JobView, 'name' | 'params' | 'seed'>): string {
  const params = Object.entries(job.params).map(([name, given]) =>
    // `1,000 samples`, but `from 0.5`.
    typeof given !== 'number'
      ? `${name} ${JSON.stringify(given)}`
      : name.endsWith('s')
        ? `${count(given)} ${name}`
        : `${name} ${given}`,
  )
  return [safeName(job.name), ...params, `seed ${job.seed}`].join(', ')
}
