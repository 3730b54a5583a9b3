/**
 * The bits of a NaN differ between machines, and a DataView shows them: what it is given gets the same ones everywhere.
 * (A job that looks at the memory of a Float64Array sees them all the same; as a result such an array is made alike.)
 */
export function replaceNaN(): void {
  for (const name of ['setFloat16', 'setFloat32', 'setFloat64'] as const) {
    const own = DataView.prototype[name]
    DataView.prototype[name] = function (this: DataView, offset: number, value: number, little?: boolean) {
      const number = +value
      own.call(this, offset, Number.isNaN(number) ? NaN : number, little)
    }
  }
}
