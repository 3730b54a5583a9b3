/**
 * A node that is tied to the process that started it: it learns over stdin whom to join, and when that pipe closes
 * its parent is gone, by whatever death, and it leaves too. Lines of JSON, parent to node:
 *
 *   { "bootstrap": [...] }   first; so that all nodes of a demo load their code while the first one starts
 *   { "keep": true }         the tie is over: live on without the parent
 */
import { createInterface } from 'node:readline'

export interface Tie {
  readonly bootstrap: Promise<readonly string[]>
  /** Resolves when the parent is gone without `keep`. */
  readonly lost: Promise<void>
  /** No longer listens, so that the process can end. */
  cut(): void
}

export type TieMessage = { readonly bootstrap: readonly string[] } | { readonly keep: true }

export function tieTo(input: NodeJS.ReadStream): Tie {
  let over = false
  const bootstrap = Promise.withResolvers<readonly string[]>()
  const lost = Promise.withResolvers<void>()
  const lines = createInterface({ input })
  lines.on('line', (line) => {
    const message = JSON.parse(line) as TieMessage
    if ('keep' in message) over = true
    else bootstrap.resolve(message.bootstrap)
  })
  lines.once('close', () => {
    if (!over) lost.resolve()
  })
  const cut = () => {
    over = true
    input.destroy()
  }
  return { bootstrap: bootstrap.promise, lost: lost.promise, cut }
}

export function tell(input: NodeJS.WritableStream | null | undefined, message: TieMessage): void {
  input?.write(`${JSON.stringify(message)}\n`)
}
