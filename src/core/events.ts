/** A typed event emitter without ambient state: handlers run at once, in the order of their registration. */

export class Emitter<Events extends Record<string, unknown>> {
  readonly #handlers = new Map<keyof Events, Set<(value: never) => void>>()

  /** Returns the call that removes the handler. */
  on<Name extends keyof Events>(name: Name, handler: (value: Events[Name]) => void): () => void {
    let handlers = this.#handlers.get(name)
    if (!handlers) this.#handlers.set(name, (handlers = new Set()))
    handlers.add(handler)
    return () => {
      handlers.delete(handler)
    }
  }

  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void {
    const handlers = this.#handlers.get(name)
    if (handlers) for (const handler of [...handlers]) handler(value as never)
  }
}
