/** What studies leave behind: CSV files, figures and the page, in one directory, each whole or not at all. */
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ChoraleError, errorMessage } from '../../../src/core/errors.ts'
import { makeDirectory, systemCode, writeAtomically } from '../../../src/home-files.ts'
import type { Table } from '../study.ts'

const DIRECTORY_MODE = 0o755
const FILE_MODE = 0o644

/**
 * Makes the directory, and sees whether a file can be written there: better now than after an hour.
 * @throws ChoraleError `usage`.
 */
export function prepareDirectory(path: string): void {
  const probe = join(path, `.probe-${process.pid}`)
  try {
    makeDirectory(path, DIRECTORY_MODE)
    writeAtomically(probe, '', FILE_MODE)
    rmSync(probe)
  } catch (error) {
    throw new ChoraleError('usage', `--out ${path}: ${reason(path, error)}`, { cause: error })
  }
}

function reason(path: string, error: unknown): string {
  if (statSync(path, { throwIfNoEntry: false })?.isFile()) return 'is a file; name a directory'
  switch (systemCode(error)) {
    case 'EACCES':
    case 'EPERM':
      return 'may not be written; name another directory'
    case 'EROFS':
      return 'the file system is read-only; name another directory'
    case 'ENOSPC':
    case 'EDQUOT':
      return 'the disk is full'
    case 'ENOTDIR':
    case 'EEXIST':
      return 'a file stands in the way; name another directory'
    default:
      return `cannot be written: ${errorMessage(error)}`
  }
}

/** `names` is the path below the directory. @throws ChoraleError `io`. */
export function writeOutput(directory: string, names: readonly string[], text: string): void {
  const file = join(directory, ...names)
  try {
    makeDirectory(join(directory, ...names.slice(0, -1)), DIRECTORY_MODE)
    writeAtomically(file, text, FILE_MODE)
  } catch (error) {
    throw new ChoraleError('io', `cannot write ${file}: ${errorMessage(error)}`, { cause: error })
  }
}

/** RFC 4180, with \n at the ends of lines; null is an empty cell. */
export function csv({ columns, rows }: Pick<Table, 'columns' | 'rows'>): string {
  const cell = (value: string | number | null) => {
    const text = value === null ? '' : String(value)
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  return `${[columns, ...rows].map((row) => row.map(cell).join(',')).join('\n')}\n`
}
