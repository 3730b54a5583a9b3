/** Draws the overlay at one moment: circle or cells, links, lookups on their way, who has just come and who has just died. */
import { cellsOf, type Polygon } from '../cells.ts'
import { OUTCOMES, type Run } from '../run.ts'
import { LinkHistory, type Scene, type SeenLookup } from '../scene.ts'
import type { Inks } from './inks.ts'
import { plotOf, RingPlot, type SquarePlot, type Xy } from './plot.ts'

export interface Shown {
  readonly links: boolean
  readonly lookups: boolean
}

const FULL_CIRCLE = 2 * Math.PI
/** Pixels that flashes grow to. */
const FLASH = 18

export class Picture {
  readonly #run: Run
  readonly #canvas: HTMLCanvasElement
  readonly #links: LinkHistory
  #plot: RingPlot | SquarePlot
  /** The cells of these members, in their order. */
  #cellsOf: readonly number[] = []
  #cells: Polygon[][] = []

  constructor(run: Run, canvas: HTMLCanvasElement) {
    this.#run = run
    this.#canvas = canvas
    this.#links = new LinkHistory(run.links)
    this.#plot = plotOf(run.shape, 1, 1)
  }

  /** The member that is nearest to a place on the canvas, within a few pixels. */
  memberAt({ members }: Scene, x: number, y: number): number | undefined {
    let best: number | undefined
    let least = 14
    for (const node of members) {
      const [nodeX, nodeY] = this.#plot.at(this.#run.points[node]!)
      const distance = Math.hypot(nodeX - x, nodeY - y)
      if (distance < least) {
        least = distance
        best = node
      }
    }
    return best
  }

  draw(scene: Scene, timeMs: number, inks: Inks, shown: Shown, pointedAt: number | undefined): void {
    const { width, height, context } = fitted(this.#canvas)
    this.#plot = plotOf(this.#run.shape, width, height)
    context.lineCap = 'round'
    this.#ground(context, scene, inks)
    if (shown.links) {
      const faint = Math.min(0.5, Math.max(0.1, 40 / scene.members.length))
      for (const node of scene.members) this.#linksOf(context, node, timeMs, inks.link, faint)
    }
    this.#dots(context, scene, inks)
    if (pointedAt !== undefined) {
      context.lineWidth = 1.5
      this.#linksOf(context, pointedAt, timeMs, inks.ink, 1)
      this.#ring(context, this.#place(pointedAt), 8, inks.ink)
    }
    if (shown.lookups) {
      const order = (seen: SeenLookup) => seen.row[2]
      for (const seen of [...scene.lookups].sort((a, b) => order(a) - order(b))) this.#lookup(context, seen, inks)
    }
    this.#flashes(context, scene, inks)
  }

  #place(node: number): Xy {
    return this.#plot.at(this.#run.points[node]!)
  }

  #ground(context: CanvasRenderingContext2D, { members }: Scene, inks: Inks): void {
    const plot = this.#plot
    context.lineWidth = 1
    if (plot instanceof RingPlot) {
      context.strokeStyle = inks.edge
      context.beginPath()
      context.arc(...plot.middle, plot.radius, 0, FULL_CIRCLE)
      context.stroke()
      return
    }
    context.fillStyle = inks.cell
    context.strokeStyle = inks['cell-edge']
    context.beginPath()
    context.rect(...plot.corner, plot.side, plot.side)
    context.fill()
    context.stroke()
    if (this.#run.dimensions !== 2) return
    if (members.length !== this.#cellsOf.length || members.some((node, i) => node !== this.#cellsOf[i])) {
      const { points, shape } = this.#run
      this.#cells = cellsOf(
        members.map((node) => points[node]!),
        shape === 'torus',
      )
      this.#cellsOf = members
    }
    context.beginPath()
    for (const pieces of this.#cells) for (const piece of pieces) this.#polygon(context, piece)
    context.stroke()
  }

  #polygon(context: CanvasRenderingContext2D, polygon: Polygon): void {
    for (let i = 0; i < polygon.length; i += 2) {
      const xy = this.#plot.at([polygon[i]!, polygon[i + 1]!])
      if (i === 0) context.moveTo(...xy)
      else context.lineTo(...xy)
    }
    context.closePath()
  }

  /** Whatever is drawn on ways stays within the square, for ways over the border of a torus go on at the other side. */
  #within(context: CanvasRenderingContext2D, draw: () => void): void {
    const plot = this.#plot
    if (plot instanceof RingPlot) {
      draw()
      return
    }
    context.save()
    context.beginPath()
    context.rect(...plot.corner, plot.side, plot.side)
    context.clip()
    draw()
    context.restore()
  }

  #linksOf(context: CanvasRenderingContext2D, node: number, timeMs: number, ink: string, alpha: number): void {
    const links = this.#links.at(node, timeMs)
    if (links === undefined) return
    const { points } = this.#run
    this.#within(context, () => {
      context.strokeStyle = ink
      for (const list of [links[2], links[3]]) {
        // In a square they would cover the cells.
        const isShortcut = list === links[3] && this.#run.shape !== 'ring'
        context.globalAlpha = isShortcut ? alpha / 2 : alpha
        context.setLineDash(isShortcut ? [1, 4] : [])
        context.beginPath()
        for (const other of list) this.#plot.trace(context, points[node]!, points[other]!, 1)
        context.stroke()
      }
      context.setLineDash([])
    })
    context.globalAlpha = 1
  }

  #dots(context: CanvasRenderingContext2D, { members }: Scene, inks: Inks): void {
    context.fillStyle = inks.node
    const radius = Math.min(4, Math.max(1, 60 / Math.sqrt(members.length)))
    for (const node of members) {
      const [x, y] = this.#place(node)
      if (members.length > 3000) context.fillRect(x - radius, y - radius, 2 * radius, 2 * radius)
      else {
        context.beginPath()
        context.arc(x, y, radius, 0, FULL_CIRCLE)
        context.fill()
      }
    }
  }

  #ring(context: CanvasRenderingContext2D, [x, y]: Xy, radius: number, ink: string): void {
    context.strokeStyle = ink
    context.beginPath()
    context.arc(x, y, radius, 0, FULL_CIRCLE)
    context.stroke()
  }

  #cross(context: CanvasRenderingContext2D, [x, y]: Xy, size: number, ink: string): void {
    context.strokeStyle = ink
    context.beginPath()
    context.moveTo(x - size, y - size)
    context.lineTo(x + size, y + size)
    context.moveTo(x + size, y - size)
    context.lineTo(x - size, y + size)
    context.stroke()
  }

  /** Its way so far, the message where it is now, the key that it is for, and at the end how it went. */
  #lookup(context: CanvasRenderingContext2D, { row, moves, age }: SeenLookup, inks: Inks): void {
    const { points } = this.#run
    const [, , code, asker, target] = row
    const outcome = age > 0 ? OUTCOMES[code]! : 'open'
    const ink = outcome === 'wrong' || outcome === 'failed' ? inks[outcome] : inks.lookup
    const strong = outcome === 'wrong' || outcome === 'failed'
    context.lineWidth = strong ? 2 : 1.3
    this.#within(context, () => {
      for (const { from, to, done, lost } of moves) {
        // What is still moving is to be seen first.
        context.globalAlpha = (strong ? 0.95 : done < 1 ? 0.8 : 0.35) * (1 - age)
        context.strokeStyle = lost ? inks.failed : ink
        context.setLineDash(lost ? [3, 3] : [])
        context.beginPath()
        this.#plot.trace(context, points[from]!, points[to]!, done)
        context.stroke()
      }
      context.setLineDash([])
    })
    context.globalAlpha = 1 - age
    const last = moves[moves.length - 1]
    if (outcome === 'open' && last !== undefined) {
      context.fillStyle = last.lost ? inks.failed : inks.lookup
      context.beginPath()
      context.arc(...this.#plot.along(points[last.from]!, points[last.to]!, last.done), 3, 0, FULL_CIRCLE)
      context.fill()
    }
    const key = this.#plot instanceof RingPlot ? this.#plot.at(target, 7) : this.#plot.at(target)
    context.fillStyle = outcome === 'open' ? inks.lookup : inks[outcome]
    context.beginPath()
    context.arc(...key, 2, 0, FULL_CIRCLE)
    context.fill()
    if (outcome === 'failed') this.#cross(context, this.#place(asker), 5, inks.failed)
    else if (strong && last !== undefined) this.#ring(context, this.#place(last.to), 7, ink)
    context.globalAlpha = 1
  }

  /** Who came: a circle that opens. Who died: a cross, and a circle that closes. */
  #flashes(context: CanvasRenderingContext2D, { joined, died }: Scene, inks: Inks): void {
    for (const { node, age } of joined) {
      context.globalAlpha = 1 - age
      context.lineWidth = 2.5
      this.#ring(context, this.#place(node), 4 + FLASH * age, inks.joined)
    }
    for (const { node, age } of died) {
      context.globalAlpha = 1 - age
      context.lineWidth = 2.5
      this.#cross(context, this.#place(node), 5, inks.died)
      this.#ring(context, this.#place(node), 4 + FLASH * (1 - age), inks.died)
    }
    context.globalAlpha = 1
  }
}

/** Makes the canvas as fine as the screen, clears it, and gives its size in CSS pixels. */
export function fitted(canvas: HTMLCanvasElement) {
  const { clientWidth: width, clientHeight: height } = canvas
  const scale = window.devicePixelRatio || 1
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale)
    canvas.height = Math.round(height * scale)
  }
  const context = canvas.getContext('2d')!
  context.setTransform(scale, 0, 0, scale, 0, 0)
  context.clearRect(0, 0, width, height)
  return { width, height, context }
}
