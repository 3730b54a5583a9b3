/** What esbuild makes of a file of WebAssembly, and what an isolate runs it with. */
declare module '*.wasm' {
  const bytes: Uint8Array<ArrayBuffer>
  export default bytes
}

declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array)
  }
  class RuntimeError extends Error {}
  class Instance {
    constructor(module: Module, imports?: object)
    readonly exports: { readonly [name: string]: unknown }
  }
}
