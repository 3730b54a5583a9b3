/** The hours of the day in which a host lends, in its own local time; they may pass midnight. Pure. */
const DAY_MINUTES = 24 * 60

export interface Hours {
  /** Minutes since midnight, 0 to 1439; the first in which it lends. */
  readonly fromMinute: number
  /** The first in which it does not; before `fromMinute`: on the next day. */
  readonly toMinute: number
}

/** `22:00-06:00`; `24:00` is midnight. Undefined: it is not that, or no time or a whole day. */
export function parseHours(text: string): Hours | undefined {
  const match = /^(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})$/.exec(text)
  const from = match && minuteOf(match[1]!, match[2]!)
  const to = match && minuteOf(match[3]!, match[4]!)
  if (from == null || to == null || from === to) return undefined
  return { fromMinute: from, toMinute: to }
}

function minuteOf(hours: string, minutes: string): number | undefined {
  const minute = Number(hours) * 60 + Number(minutes)
  return Number(minutes) < 60 && minute <= DAY_MINUTES ? minute % DAY_MINUTES : undefined
}

export function formatHours({ fromMinute, toMinute }: Hours): string {
  return `${formatMinute(fromMinute)}-${formatMinute(toMinute)}`
}

export function formatMinute(minute: number): string {
  const two = (value: number) => String(value).padStart(2, '0')
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`
}

/** `minute`: since midnight. */
export function isWithin({ fromMinute, toMinute }: Hours, minute: number): boolean {
  if (fromMinute < toMinute) return minute >= fromMinute && minute < toMinute
  return minute >= fromMinute || minute < toMinute
}

/** From a minute within the hours until their end. */
export function minutesLeft({ toMinute }: Hours, minute: number): number {
  return (toMinute - minute + DAY_MINUTES) % DAY_MINUTES
}
