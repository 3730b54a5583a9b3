/** The page that plays a run back: reads the rows that are embedded in it, and draws them at the time that is asked for. */
import type { Run } from '../run.ts'
import { type Scene, sceneAt } from '../scene.ts'
import { type Inks, readInks } from './inks.ts'
import { Picture } from './picture.ts'
import { drawStrip } from './strip.ts'

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 30]
const FIRST_SPEED = 0.5
/** For so long on the clock of whoever watches: joins and deaths, and the ways of lookups that have ended. */
const FLASH_MS = 900
const LINGER_MS = 350
/** At high speed lookups linger no longer than this, in virtual time: they would cover everything. */
const MOST_LINGER_MS = 700

function element<E extends HTMLElement>(id: string): E {
  return document.getElementById(id) as E
}

class Player {
  readonly #run = JSON.parse(element('run').textContent) as Run
  readonly #canvas = element<HTMLCanvasElement>('picture')
  readonly #picture = new Picture(this.#run, this.#canvas)
  readonly #play = element<HTMLButtonElement>('play')
  readonly #scrub = element<HTMLInputElement>('scrub')
  readonly #speeds = element<HTMLSelectElement>('speed')
  readonly #shown = { links: true, lookups: true }
  readonly #figures = new Map<string, HTMLElement>()
  #inks: Inks = readInks()
  #scene: Scene | undefined
  #timeMs = 0
  #playing = false
  #drawnAtMs = 0
  #asked = false
  #pointer: { x: number; y: number } | undefined

  start(): void {
    this.#texts()
    this.#legend()
    this.#controls()
    this.#pointing()
    const dark = matchMedia('(prefers-color-scheme: dark)')
    dark.addEventListener('change', () => {
      this.#inks = readInks()
      this.#ask()
    })
    addEventListener('resize', () => this.#ask())
    if (!matchMedia('(prefers-reduced-motion: reduce)').matches) this.#toggle()
    this.#ask()
  }

  get #speed(): number {
    return Number(this.#speeds.value)
  }

  #texts(): void {
    const { shape, dimensions, stays, command } = this.#run
    const size = stays.filter(([, fromMs]) => fromMs === 0).length
    const what = shape === 'ring' ? 'A ring of' : `VHash on a ${dimensions}-D ${shape},`
    element('title').textContent = `${what} ${size.toLocaleString('en')} ${size === 1 ? 'node' : 'nodes'}`
    element('command').textContent = command
    this.#canvas.setAttribute('aria-label', 'the overlay at the time shown')
    for (const name of ['members', 'joined', 'died', 'lookups', 'wrong', 'failed', 'now']) {
      const term = document.createElement('dt')
      const figure = document.createElement('dd')
      term.textContent = name
      element('counters').append(term, figure)
      this.#figures.set(name, figure)
    }
  }

  #legend(): void {
    const { linksOfEach, shape, dimensions } = this.#run
    const sample = linksOfEach > 1 ? ` of one node in ${linksOfEach}` : ''
    const links = shape === 'ring' ? `successors and fingers${sample}` : `short, (dotted) long peers${sample}`
    const circle = (ink: string, r: number) =>
      `<circle cx="12" cy="8" r="${r}" fill="none" stroke="var(--${ink})" stroke-width="2"/>`
    const dot = (ink: string, x: number, r: number) => `<circle cx="${x}" cy="8" r="${r}" fill="var(--${ink})"/>`
    const line = (ink: string, dash = '') =>
      `<path d="M2 8H22" stroke="var(--${ink})" stroke-width="1.5" stroke-dasharray="${dash}"/>`
    const cross = (ink: string) => `<path d="M8 4l8 8M16 4l-8 8" stroke="var(--${ink})" stroke-width="2"/>`
    const bars =
      '<path d="M4 8V4M8 8V2" stroke="var(--joined)" stroke-width="3"/>' +
      '<path d="M12 8v5M16 8v3" stroke="var(--died)" stroke-width="3"/>' +
      '<path d="M20 2v3" stroke="var(--wrong)" stroke-width="3"/>'
    const rows: [drawing: string, text: string, toggles?: 'links' | 'lookups'][] = [
      [dot('node', 12, 4), dimensions > 2 ? `member, by 2 of ${dimensions} coordinates` : 'member'],
      [circle('joined', 6), 'has just joined'],
      [cross('died') + circle('died', 7), 'has just died'],
      [line('link'), links, 'links'],
      [line('lookup') + dot('lookup', 20, 3), 'lookup on its way', 'lookups'],
      [dot('lookup', 12, 2), 'key looked up'],
      [line('wrong') + circle('wrong', 4), 'ended at a wrong owner'],
      [cross('failed'), 'found no owner in time'],
      [line('failed', '3 3'), 'message lost, or to nobody'],
      [bars, 'below: joined, died, bad lookups'],
    ]
    for (const [drawing, text, toggles] of rows) {
      const item = document.createElement('li')
      item.innerHTML = `<svg viewBox="0 0 24 16" aria-hidden="true">${drawing}</svg>`
      const label = document.createElement('label')
      if (toggles) {
        const box = document.createElement('input')
        box.type = 'checkbox'
        box.checked = true
        box.addEventListener('change', () => {
          this.#shown[toggles] = box.checked
          this.#ask()
        })
        label.append(box, ' ')
      }
      label.append(text)
      item.append(label)
      element('legend').append(item)
    }
  }

  #controls(): void {
    for (const speed of SPEEDS) {
      const option = document.createElement('option')
      option.value = String(speed)
      option.textContent = `${speed} x`
      option.selected = speed === FIRST_SPEED
      this.#speeds.append(option)
    }
    this.#scrub.max = String(this.#run.endMs)
    this.#scrub.value = '0'
    this.#play.addEventListener('click', () => this.#toggle())
    this.#scrub.addEventListener('input', () => this.#go(Number(this.#scrub.value)))
    addEventListener('keydown', (event) => this.#key(event))
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const { target, key } = event
    const step = event.shiftKey ? 10_000 : 1000
    // What has the focus and knows the key itself.
    if (target instanceof HTMLSelectElement && /^(Arrow(Up|Down)|Home|End| )$/.test(key)) return
    if (key === ' ' && (target === this.#play || (target instanceof HTMLInputElement && target !== this.#scrub))) return
    if (key === ' ') this.#toggle()
    else if (key === 'ArrowLeft') this.#go(this.#timeMs - step)
    else if (key === 'ArrowRight') this.#go(this.#timeMs + step)
    else if (key === 'ArrowUp') this.#faster(1)
    else if (key === 'ArrowDown') this.#faster(-1)
    else if (key === 'Home') this.#go(0)
    else if (key === 'End') this.#go(this.#run.endMs)
    else return
    event.preventDefault()
  }

  #faster(by: number): void {
    const { options, selectedIndex } = this.#speeds
    this.#speeds.selectedIndex = Math.max(0, Math.min(options.length - 1, selectedIndex + by))
    this.#ask()
  }

  #toggle(): void {
    this.#playing = !this.#playing
    if (this.#playing && this.#timeMs >= this.#run.endMs) this.#timeMs = 0
    this.#drawnAtMs = performance.now()
    this.#ask()
  }

  #go(timeMs: number): void {
    this.#timeMs = Math.max(0, Math.min(this.#run.endMs, timeMs))
    this.#ask()
  }

  #pointing(): void {
    this.#canvas.addEventListener('pointermove', ({ offsetX, offsetY }) => {
      this.#pointer = { x: offsetX, y: offsetY }
      this.#ask()
    })
    this.#canvas.addEventListener('pointerleave', () => {
      this.#pointer = undefined
      this.#ask()
    })
  }

  /** One drawing at a time, at the next frame. */
  #ask(): void {
    if (this.#asked) return
    this.#asked = true
    requestAnimationFrame(() => this.#frame(performance.now()))
  }

  #frame(nowMs: number): void {
    this.#asked = false
    const run = this.#run
    if (this.#playing) {
      // A page that was in the background goes on where it was.
      this.#timeMs += Math.min(nowMs - this.#drawnAtMs, 250) * this.#speed
      if (this.#timeMs >= run.endMs) {
        this.#timeMs = run.endMs
        this.#playing = false
      }
    }
    this.#drawnAtMs = nowMs
    const speed = this.#speed
    this.#scene = sceneAt(run, this.#timeMs, FLASH_MS * speed, Math.min(LINGER_MS * speed, MOST_LINGER_MS))
    const pointedAt = this.#pointer && this.#picture.memberAt(this.#scene, this.#pointer.x, this.#pointer.y)
    this.#picture.draw(this.#scene, this.#timeMs, this.#inks, this.#shown, pointedAt)
    drawStrip(run, element('strip'), this.#timeMs, this.#inks)
    this.#tell(this.#scene)
    this.#tip(pointedAt)
    if (this.#playing) this.#ask()
  }

  #tell({ members, counts, phase }: Scene): void {
    const [, joined, died, lookups, wrong, failed] = counts
    const figures = { members: members.length, joined, died, lookups, wrong, failed, now: phase }
    for (const [name, figure] of Object.entries(figures)) {
      const place = this.#figures.get(name)!
      const text = typeof figure === 'number' ? figure.toLocaleString('en') : figure
      if (place.textContent !== text) place.textContent = text
      place.classList.toggle('bad', (name === 'wrong' || name === 'failed') && figure !== 0)
    }
    element('time').textContent = `${(this.#timeMs / 1000).toFixed(2)} s`
    this.#scrub.value = String(Math.round(this.#timeMs))
    this.#scrub.setAttribute('aria-valuetext', element('time').textContent)
    this.#play.textContent = this.#playing ? 'Pause' : this.#timeMs >= this.#run.endMs ? 'Again' : 'Play'
  }

  #tip(node: number | undefined): void {
    const tip = element('tip')
    tip.hidden = node === undefined || this.#pointer === undefined
    if (node === undefined || this.#pointer === undefined) return
    const stay = this.#run.stays.findLast(([of, fromMs]) => of === node && fromMs <= this.#timeMs)
    const since = stay === undefined || stay[1] === 0 ? 'the start' : `${(stay[1] / 1000).toFixed(1)} s`
    tip.textContent = `${this.#run.ids[node]}…\nmember since ${since}`
    const { x, y } = this.#pointer
    tip.style.left = `${Math.min(x + 14, this.#canvas.clientWidth - 190)}px`
    tip.style.top = `${Math.max(y - 44, 0)}px`
  }
}

new Player().start()
