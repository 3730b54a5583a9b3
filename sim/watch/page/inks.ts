/** The colours of the page's style sheet, which knows light and dark, for the canvas. */

const NAMES = [
  'ground',
  'edge',
  'ink',
  'quiet',
  'node',
  'link',
  'cell',
  'cell-edge',
  'joined',
  'died',
  'lookup',
  'right',
  'wrong',
  'failed',
] as const

export type Inks = Readonly<Record<(typeof NAMES)[number], string>>

export function readInks(): Inks {
  const style = getComputedStyle(document.documentElement)
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()])) as Inks
}
