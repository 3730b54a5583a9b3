/** Shares and probabilities as text for people: two digits, also of the smallest that matter. */

/** 0.12 -> `12 %`; 0.0035 -> `0.35 %`; 1e-9 -> `less than 0.001 %`. Only 1 is `100 %`, only 0 is `0 %`. */
export function percent(share: number): string {
  const value = share * 100
  if (value === 0) return '0 %'
  if (value < 0.001) return 'less than 0.001 %'
  return `${value >= 99.5 && value < 100 ? '99.9' : Number(value.toPrecision(2))} %`
}
