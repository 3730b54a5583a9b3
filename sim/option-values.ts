/** Values of options on the command line of scenarios. */
import { InvalidArgumentError } from 'commander'

export function number(min: number, max: number, whole: boolean): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() === '' || !(value >= min && value <= max) || (whole && !Number.isInteger(value))) {
      throw new InvalidArgumentError(`${whole ? 'a whole number' : 'a number'} from ${min} to ${max}, please.`)
    }
    return value
  }
}

/** Several of them, with commas. */
export function list(min: number, max: number, whole: boolean): (text: string) => number[] {
  const one = number(min, max, whole)
  return (text) => text.split(',').map(one)
}

export const count = (max: number) => number(0, max, true)
export const share = number(0, 1, false)
