/** Where things are on the canvas: points of a ring on a circle, points of a torus or a cube in a square. */
import type { Shape } from '../run.ts'

export type Xy = readonly [x: number, y: number]
type Point = readonly number[]

export interface Plot {
  at(point: Point): Xy
  /** On the way from one point to another, 0 .. 1 of it. */
  along(from: Point, to: Point, share: number): Xy
  /** Adds a piece of that way, up to a share of it, to the path that is being drawn. */
  trace(to: CanvasRenderingContext2D, from: Point, target: Point, share: number): void
}

/** The circle or the square in the middle of a canvas of this size. */
export function plotOf(shape: Shape, width: number, height: number): RingPlot | SquarePlot {
  return shape === 'ring' ? new RingPlot(width, height) : new SquarePlot(shape === 'torus', width, height)
}

/** Room around the drawing for flashes and the marks of keys. */
const MARGIN = 26
/** How far ways over the circle bend towards its middle: 0 for the shortest, near this for the longest. */
const BEND = 0.6
const STEPS = 14

export class RingPlot implements Plot {
  readonly radius: number
  readonly middle: Xy

  constructor(width: number, height: number) {
    this.radius = Math.max(10, Math.min(width, height) / 2 - MARGIN)
    this.middle = [width / 2, height / 2]
  }

  /** `out`: pixels outside of the circle. */
  at([share = 0]: Point, out = 0): Xy {
    const angle = 2 * Math.PI * share
    const radius = this.radius + out
    return [this.middle[0] + radius * Math.sin(angle), this.middle[1] - radius * Math.cos(angle)]
  }

  along(from: Point, to: Point, share: number): Xy {
    const [ax, ay] = this.at(from)
    const [bx, by] = this.at(to)
    const [mx, my] = this.middle
    const bend = (BEND * Math.hypot(ax - bx, ay - by)) / (2 * this.radius)
    const bendX = (ax + bx) / 2 + bend * (mx - (ax + bx) / 2)
    const bendY = (ay + by) / 2 + bend * (my - (ay + by) / 2)
    const rest = 1 - share
    return [
      rest * rest * ax + 2 * rest * share * bendX + share * share * bx,
      rest * rest * ay + 2 * rest * share * bendY + share * share * by,
    ]
  }

  trace(to: CanvasRenderingContext2D, from: Point, target: Point, share: number): void {
    to.moveTo(...this.at(from))
    for (let step = 1; step <= STEPS; step++) to.lineTo(...this.along(from, target, (share * step) / STEPS))
  }
}

export class SquarePlot implements Plot {
  readonly side: number
  readonly corner: Xy
  readonly #wraps: boolean

  constructor(wraps: boolean, width: number, height: number) {
    this.#wraps = wraps
    this.side = Math.max(10, Math.min(width, height) - 2 * MARGIN)
    this.corner = [(width - this.side) / 2, (height - this.side) / 2]
  }

  /** The second coordinate grows upwards. */
  at([x = 0, y = 0]: Point): Xy {
    return [this.corner[0] + x * this.side, this.corner[1] + (1 - y) * this.side]
  }

  along(from: Point, to: Point, share: number): Xy {
    const [dx, dy] = this.#step(from, to)
    const x = from[0]! + share * dx
    const y = from[1]! + share * dy
    return this.at(this.#wraps ? [x - Math.floor(x), y - Math.floor(y)] : [x, y])
  }

  /** A way over the border of a torus is drawn twice, and what lies outside is to be clipped away. */
  trace(to: CanvasRenderingContext2D, from: Point, target: Point, share: number): void {
    const [dx, dy] = this.#step(from, target)
    const [x, y] = [from[0]!, from[1]!]
    const [endX, endY] = [x + share * dx, y + share * dy]
    const shiftX = Math.floor(endX)
    const shiftY = Math.floor(endY)
    const shifts =
      this.#wraps && (shiftX !== 0 || shiftY !== 0)
        ? [
            [0, 0],
            [shiftX, 0],
            [0, shiftY],
            [shiftX, shiftY],
          ]
        : [[0, 0]]
    const drawn = new Set<string>()
    for (const [sx = 0, sy = 0] of shifts) {
      if (drawn.has(`${sx} ${sy}`)) continue
      drawn.add(`${sx} ${sy}`)
      to.moveTo(...this.at([x - sx, y - sy]))
      to.lineTo(...this.at([endX - sx, endY - sy]))
    }
  }

  #step(from: Point, to: Point): Xy {
    const dx = to[0]! - from[0]!
    const dy = to[1]! - from[1]!
    return this.#wraps ? [dx - Math.round(dx), dy - Math.round(dy)] : [dx, dy]
  }
}
