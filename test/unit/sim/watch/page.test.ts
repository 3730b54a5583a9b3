/** The page as a browser without a screen loads it: its script runs, and whatever it draws is counted. */
import { Window } from 'happy-dom'
import { expect, test } from 'vitest'
import { pageOf } from '../../../../sim/watch/page.ts'
import type { Run, Shape } from '../../../../sim/watch/run.ts'
import { madeUp, recorded } from './world.ts'

class Browser implements AsyncDisposable {
  readonly #window: Window
  /** Calls of the canvas since the last look, by name. */
  drawn: Record<string, number> = {}

  private constructor() {
    const settings = { enableJavaScriptEvaluation: true, suppressInsecureJavaScriptEnvironmentWarning: true }
    this.#window = new Window({ url: 'file:///run.html', width: 1200, height: 800, settings })
    const context = new Proxy({} as Record<string, unknown>, {
      get: (kept, name: string) => kept[name] ?? ((...values: unknown[]) => this.#draw(name, values)),
    })
    Object.assign(this.#window.HTMLCanvasElement.prototype, { getContext: () => context })
  }

  static async open(run: Run): Promise<Browser> {
    const browser = new Browser()
    browser.#window.document.write(await pageOf(run))
    await browser.frame()
    return browser
  }

  #draw(name: string, values: unknown[]): unknown {
    for (const value of values) if (typeof value === 'number') expect(value).not.toBeNaN()
    this.drawn[name] = (this.drawn[name] ?? 0) + 1
    return { width: 40 }
  }

  /** The next frame has been drawn. */
  async frame(): Promise<void> {
    this.drawn = {}
    await new Promise<void>((resolve) => {
      this.#window.requestAnimationFrame(() => this.#window.requestAnimationFrame(() => resolve()))
    })
    expect(this.#window.happyDOM.virtualConsolePrinter.readAsString()).toBe('')
  }

  async press(key: string, shiftKey = false): Promise<void> {
    this.#window.dispatchEvent(new this.#window.KeyboardEvent('keydown', { key, shiftKey, cancelable: true }))
    await this.frame()
  }

  async scrub(timeMs: number): Promise<void> {
    const input = this.#window.document.getElementById('scrub') as unknown as { value: string }
    input.value = String(timeMs)
    this.#window.document.getElementById('scrub')!.dispatchEvent(new this.#window.Event('input'))
    await this.frame()
  }

  /** Unticks or ticks the first or second box of the legend. */
  async tick(box: number): Promise<void> {
    ;(this.#window.document.querySelectorAll('#legend input')[box] as unknown as { click(): void }).click()
    await this.frame()
  }

  text(id: string): string {
    return this.#window.document.getElementById(id)!.textContent
  }

  get timeMs(): number {
    return Number.parseFloat(this.text('time')) * 1000
  }

  figure(name: string): string {
    const terms = [...this.#window.document.querySelectorAll('dt')]
    return terms.find((term) => term.textContent === name)!.nextElementSibling!.textContent
  }

  get title(): string {
    return this.#window.document.title
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#window.happyDOM.close()
  }
}

test('a recorded run plays, pauses, and is stepped through with the keyboard to its end', async () => {
  const { run, result } = await recorded()
  await using page = await Browser.open(run)
  expect(page.text('title')).toBe('A ring of 24 nodes')
  expect(page.text('play')).toBe('Pause')
  expect(page.timeMs).toBeGreaterThan(0)
  expect(page.drawn.arc).toBeGreaterThan(24)
  await page.press(' ')
  expect(page.text('play')).toBe('Play')
  await page.press('Home')
  expect(page.timeMs).toBe(0)
  await page.press('ArrowRight')
  await page.press('ArrowRight')
  await page.press('ArrowLeft')
  expect(page.timeMs).toBe(1000)
  await page.press('ArrowRight', true)
  expect(page.timeMs).toBe(11_000)
  for (let timeMs = 0; timeMs < run.endMs; timeMs += 487) {
    await page.scrub(timeMs)
    expect(Math.abs(page.timeMs - timeMs)).toBeLessThan(10)
  }
  await page.press('End')
  expect(Math.abs(page.timeMs - run.endMs)).toBeLessThan(10)
  expect(page.text('play')).toBe('Again')
  expect(page.figure('died')).toBe(`${result.killed}`)
  expect(page.figure('lookups')).toBe(`${result.lookups + result.lookupsAfterQuiet}`)
  expect(page.figure('now')).toBe('at rest')
  await page.press(' ')
  expect(page.text('play')).toBe('Pause')
  expect(page.timeMs).toBeLessThan(1000)
})

test('the keys for speed, and the boxes that hide links and lookups', async () => {
  const lookups: Run['lookups'] = [[0, 7000, 2, 0, [0.4], [0, 1, 0, 6000]]]
  await using page = await Browser.open(madeUp('ring', { lookups }))
  await page.press(' ')
  await page.scrub(3000)
  const { lineTo: all = 0, arc = 0 } = page.drawn
  await page.tick(0)
  const { lineTo: withoutLinks = 0 } = page.drawn
  await page.tick(1)
  expect(withoutLinks).toBeLessThan(all)
  expect(page.drawn.lineTo ?? 0).toBeLessThan(withoutLinks)
  expect(page.drawn.arc).toBeLessThan(arc)
  expect(page.text('speed')).toContain('30 x')
})

test.each(['ring', 'torus', 'cube'] satisfies Shape[])('every kind of picture: %s', async (shape) => {
  const target = shape === 'ring' ? [0.9] : [0.95, 0.05]
  const hops = [0, 1, 0, 500, 1, 2, 600, -1]
  const outcomes = [0, 1, 2, 3].map((outcome, i): Run['lookups'][number] => [i, 1000, outcome, 0, target, hops])
  await using page = await Browser.open(madeUp(shape, { lookups: outcomes }))
  await page.press(' ')
  for (const timeMs of [0, 500, 1000, 1100, 2000, 2200, 5000, 5100, 8000]) await page.scrub(timeMs)
  expect(page.figure('members')).toBe('2')
  const title = shape === 'ring' ? 'A ring of 2 nodes' : `VHash on a 2-D ${shape}, 2 nodes`
  expect(page.text('title')).toBe(title)
})

test('nothing in a run can end the script that it is in, and the page asks for nothing from elsewhere', async () => {
  const command = `npm run sim -- ring --latency </script><script>document.title='caught'</script><!-- $& $' \u2028`
  await using page = await Browser.open(madeUp('ring', { command }))
  expect(page.title).not.toBe('caught')
  expect(page.text('command')).toBe(command)
  const html = await pageOf(madeUp('ring', { command }))
  expect(html.match(/<\/script/g)).toHaveLength(2)
  expect(html).not.toMatch(/\b(src|href)=(?!"data:,")|url\(|@import|\bfetch\(|XMLHttpRequest|import\(/)
  expect(html.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:/)
})

test('a run in which nothing happened, and one without an end', async () => {
  const nothing = { ids: [], points: [], stays: [], links: [], counts: [], phases: [], endMs: 0 }
  await using page = await Browser.open(madeUp('torus', nothing))
  expect(page.text('title')).toBe('VHash on a 2-D torus, 0 nodes')
  expect(page.text('play')).toBe('Again')
})

test('cells are drawn of two dimensions; more are drawn by two of them, which have no cells', async () => {
  await using flat = await Browser.open(madeUp('cube', { links: [] }))
  await flat.press(' ')
  expect(flat.drawn.lineTo).toBeGreaterThan(4)
  await using deep = await Browser.open(madeUp('cube', { links: [], dimensions: 3 }))
  await deep.press(' ')
  expect(deep.drawn.lineTo ?? 0).toBe(0)
  expect(deep.text('legend')).toContain('by 2 of 3 coordinates')
})
