/** Majorities of replica groups. */

export function majority(groupSize: number): number {
  return Math.floor(groupSize / 2) + 1
}

/** True as soon as `count` of them came out true, false as soon as that cannot be any more. They never reject. */
export function atLeast(count: number, outcomes: readonly Promise<boolean>[]): Promise<boolean> {
  return new Promise((resolve) => {
    let yes = 0
    let open = outcomes.length
    const decide = () => {
      if (yes >= count) resolve(true)
      else if (yes + open < count) resolve(false)
    }
    decide()
    for (const outcome of outcomes) {
      void outcome.then((good) => {
        open--
        if (good) yes++
        decide()
      })
    }
  })
}
