/**
 * A figure as one SVG that needs nothing else: title, legend and plot on white, no scripts, no style sheets. Observable
 * Plot draws the plot, and its legend as HTML beside it; here the swatches of that legend go into the drawing.
 */
import { type PlotOptions, plot } from '@observablehq/plot'
import { Window } from 'happy-dom'
import type { Figure } from '../study.ts'

const WIDTH = 760
const HEIGHT = 420
const FONT = { family: 'system-ui, sans-serif', size: 13, titleSize: 16 }
const TITLE_HEIGHT = 34
const LEGEND = { left: 16, rowHeight: 24, swatch: 15, gap: 7, between: 22 }
/** Of a character, as a share of the size of the font; generous, for the widths of fonts that we do not have. */
const CHARACTER = 0.56

/** Elements of happy-dom, as far as they are used here: the compiler does not know the browser's. */
interface Element {
  readonly childNodes: Iterable<Element>
  readonly textContent: string
  getAttribute(name: string): string | null
  setAttribute(name: string, value: string): void
  append(...children: Element[]): void
  remove(): void
  querySelector(selector: string): Element | null
  querySelectorAll(selector: string): Iterable<Element>
}

interface Drawn extends Element {
  scale(name: string): { readonly type: string } | undefined
  legend(name: string): Element | undefined
}

interface Item {
  readonly swatch: Element
  readonly text: string
}

/** Draws figures until it is disposed of. */
export class Drawing {
  readonly #window = new Window()

  /** The text of an SVG file, without the XML declaration, so that it can stand in a page. */
  svg({ title, plot: options }: Figure): string {
    const drawn = this.#plot(options)
    const width = Number(drawn.getAttribute('width'))
    const rows = legendRows(legendItems(drawn, options), width)
    const top = TITLE_HEIGHT + rows.length * LEGEND.rowHeight
    const height = top + Number(drawn.getAttribute('height'))
    const svg = this.#element('svg', {
      xmlns: 'http://www.w3.org/2000/svg',
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'font-family': FONT.family,
      'font-size': FONT.size,
      fill: 'currentColor',
      color: '#1a1a1a',
    })
    const heading = { x: LEGEND.left, y: 22, 'font-size': FONT.titleSize, 'font-weight': 600 }
    svg.append(
      this.#element('title', {}, title),
      this.#element('rect', { width, height, fill: '#ffffff' }),
      this.#element('text', heading, title),
      ...rows.flatMap((row, index) => this.#legendRow(row, TITLE_HEIGHT + index * LEGEND.rowHeight)),
      this.#moved(drawn, top),
    )
    return new this.#window.XMLSerializer().serializeToString(svg as never)
  }

  #plot(options: PlotOptions): Drawn {
    const document = this.#window.document as unknown as NonNullable<PlotOptions['document']>
    const drawn = plot({
      document,
      width: WIDTH,
      height: HEIGHT,
      marginTop: 32,
      marginLeft: 64,
      marginRight: 24,
      marginBottom: 46,
      ...options,
      figure: false,
    })
    return drawn as unknown as Drawn
  }

  #legendRow(row: readonly (Item & { x: number })[], y: number): Element[] {
    return row.flatMap(({ swatch, text, x }) => {
      for (const [name, value] of Object.entries({ x: x, y: y, width: LEGEND.swatch, height: LEGEND.swatch })) {
        swatch.setAttribute(name, String(value))
      }
      return [swatch, this.#element('text', { x: x + LEGEND.swatch + LEGEND.gap, y: y + 12 }, text)]
    })
  }

  /** As a group: a nested `svg` would take its size from the style sheet that Plot adds. */
  #moved(inner: Element, top: number): Element {
    const group = this.#element('g', {
      fill: 'currentColor',
      'text-anchor': 'middle',
      'font-size': FONT.size,
      style: '--plot-background: white',
      transform: `translate(0,${top})`,
    })
    inner.querySelector('style')?.remove()
    group.append(...inner.childNodes)
    return group
  }

  #element(name: string, attributes: Record<string, string | number>, text = ''): Element {
    const element = this.#window.document.createElementNS('http://www.w3.org/2000/svg', name)
    for (const [key, value] of Object.entries(attributes)) {
      if (key !== 'xmlns') element.setAttribute(key, String(value))
    }
    if (text !== '') element.textContent = text
    return element as unknown as Element
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#window.happyDOM.close()
  }
}

/**
 * Plot's own legends; one of symbols comes first, and then has their colours. Two series need one, unless the study
 * labels them itself (`legend: false`). A scale that is not of categories has none: Plot draws its ramp on a canvas.
 */
function legendItems(drawn: Drawn, options: PlotOptions): Item[] {
  const items = new Map<string, Item>()
  for (const name of ['symbol', 'color'] as const) {
    if (options[name]?.legend === false || !/^(ordinal|categorical)$/.test(drawn.scale(name)?.type ?? '')) continue
    for (const span of drawn.legend(name)?.querySelectorAll('[class$="-swatch"]') ?? []) {
      const text = span.textContent.trim()
      if (!items.has(text)) items.set(text, { swatch: span.querySelector('svg')!, text })
    }
  }
  return items.size > 1 ? [...items.values()] : []
}

/** Items from left to right, in as many rows as they need. */
function legendRows(items: readonly Item[], width: number): (Item & { x: number })[][] {
  const rows: (Item & { x: number })[][] = []
  let x = Number.POSITIVE_INFINITY
  for (const item of items) {
    const itemWidth = LEGEND.swatch + LEGEND.gap + item.text.length * FONT.size * CHARACTER
    if (x + itemWidth > width) {
      rows.push([])
      x = LEGEND.left
    }
    rows.at(-1)!.push({ ...item, x: Math.round(x) })
    x += itemWidth + LEGEND.between
  }
  return rows
}
