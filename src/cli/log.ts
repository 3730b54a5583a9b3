/**
 * Logs of the command line: one line per event on stderr, for people, or JSON with `--json`. Warnings and errors only,
 * unless asked for more.
 */
import type { LogFields, Logger } from '../core/env.ts'

const LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type Level = (typeof LEVELS)[number]

export interface LogOptions {
  readonly level: Level
  readonly json: boolean
  readonly write: (line: string) => void
  readonly now: () => number
}

export function createLogger(options: LogOptions, name = ''): Logger {
  const lowest = LEVELS.indexOf(options.level)
  const at = (level: Level) => {
    if (LEVELS.indexOf(level) < lowest) return () => {}
    return (message: string, fields?: LogFields) => {
      const time = new Date(options.now()).toISOString()
      options.write(
        options.json
          ? `${JSON.stringify({ v: 1, type: 'log', time, level, name, message, ...fields })}\n`
          : `${time} ${level.padEnd(5)} ${name ? `${name}: ` : ''}${oneLine(message)}${pairs(fields)}\n`,
      )
    }
  }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (child) => createLogger(options, name ? `${name}.${child}` : child),
  }
}

function pairs(fields: LogFields | undefined): string {
  let text = ''
  for (const [key, value] of Object.entries(fields ?? {})) {
    if (value !== undefined) text += ` ${key}=${typeof value === 'string' ? quoted(value) : value}`
  }
  return text
}

function quoted(text: string): string {
  return /^[\w./:@-]+$/.test(text) ? text : JSON.stringify(text)
}

/** Peers choose some of the texts that are logged: no line breaks, no terminal codes. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
}
