/** How uneven hashing is: T tasks over the arcs that n random ids leave on a circle, m = T/n each on average (PAPERS 4). */

/** H_n: the load of the busiest of n hosts over the mean, when tasks are many. */
export function harmonic(n: number): number {
  let sum = 0
  for (let i = n; i > 0; i--) sum += 1 / i
  return sum
}

/**
 * Mean load of the busiest host over m, for few tasks too. Arcs are exponential, so loads are geometric: the largest of
 * n geometric numbers of mean m is H_n / ln(1 + 1/m), less half a task.
 */
export function busiest(n: number, m: number): number {
  return harmonic(n) / (m * Math.log1p(1 / m)) - 0.5 / m
}
