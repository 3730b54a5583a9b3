import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TASK_MEMORY_BYTES } from '../../../../src/core/limits.ts'
import { amount, MAX_AMOUNT } from '../../../../src/market/ledger/state/amount.ts'
import { formatHours, formatMinute, isWithin, parseHours } from '../../../../src/market/lending/hours.ts'
import {
  bodyOf,
  changeOf,
  DEFAULT_SETTING,
  type LendSetting,
  parseWhen,
  requireFitting,
  settingSchema,
  slotsOf,
} from '../../../../src/market/lending/setting.ts'

describe('hours', () => {
  test.each([
    ['22:00-06:00', 22 * 60, 6 * 60],
    ['0:00-24:00', 0, 0],
    ['18:30-24:00', 18 * 60 + 30, 0],
    ['00:00-00:01', 0, 1],
    ['9:05-17:00', 9 * 60 + 5, 17 * 60],
  ])('%s', (text, fromMinute, toMinute) => {
    // A whole day is always.
    expect(parseHours(text)).toEqual(fromMinute === toMinute ? undefined : { fromMinute, toMinute })
  })

  test.each([
    '',
    '22-06',
    '22:00',
    '22:00-',
    '25:00-06:00',
    '22:60-06:00',
    '24:01-06:00',
    '22:00-22:00',
    '22:00-06:00x',
    '-1:00-06:00',
    '22:00–06:00',
  ])('%j is none', (text) => {
    expect(parseHours(text)).toBeUndefined()
    expect(() => parseWhen(text, '--when')).toThrow(
      /^--when must be always, idle, or hours of the day as 22:00-06:00, not/,
    )
  })

  test.each([
    ['22:00-06:00', '21:59', false],
    ['22:00-06:00', '22:00', true],
    ['22:00-06:00', '23:59', true],
    ['22:00-06:00', '00:00', true],
    ['22:00-06:00', '05:59', true],
    ['22:00-06:00', '06:00', false],
    ['22:00-06:00', '14:00', false],
    ['09:00-17:00', '08:59', false],
    ['09:00-17:00', '09:00', true],
    ['09:00-17:00', '16:59', true],
    ['09:00-17:00', '17:00', false],
    ['18:00-24:00', '23:59', true],
    ['18:00-24:00', '00:00', false],
  ])('%s at %s: %s', (hours, at, open) => {
    const [hour, minute] = at.split(':').map(Number) as [number, number]
    expect(isWithin(parseHours(hours)!, hour * 60 + minute)).toBe(open)
  })

  test('of any hours, so many minutes of the day are within as there are between them, and the text says the same', () => {
    const minute = fc.integer({ min: 0, max: 1439 })
    fc.assert(
      fc.property(minute, minute, (fromMinute, toMinute) => {
        fc.pre(fromMinute !== toMinute)
        const hours = { fromMinute, toMinute }
        const within = Array.from({ length: 1440 }, (_, i) => i).filter((at) => isWithin(hours, at)).length
        expect(within).toBe((toMinute - fromMinute + 1440) % 1440)
        expect(parseHours(formatHours(hours))).toEqual(hours)
        expect(formatMinute(fromMinute)).toMatch(/^\d\d:\d\d$/)
      }),
    )
  })
})

describe('a setting', () => {
  const machine = { cores: 4, memoryBytes: 16 * 2 ** 30 }

  test('is the same after JSON', () => {
    const size = fc.option(fc.integer({ min: 0, max: 2 ** 50 }))
    const minute = fc.integer({ min: 0, max: 1439 })
    const hours = fc.record({ fromMinute: minute, toMinute: minute }).filter((h) => h.fromMinute !== h.toMinute)
    const settings = fc.record<LendSetting>({
      cores: size,
      memoryBytes: size,
      storeBytes: size,
      when: fc.oneof(fc.constant('always' as const), fc.constant('idle' as const), hours),
      minPrice: fc.oneof(fc.constant('auto' as const), fc.bigInt({ min: 0n, max: MAX_AMOUNT }).map(amount)),
      level: fc.constantFrom('os', 'process'),
      paused: fc.boolean(),
    })
    fc.assert(
      fc.property(settings, (setting) => {
        const text = JSON.stringify(bodyOf(setting))
        expect(changeOf(settingSchema.parse(JSON.parse(text)))).toEqual(setting)
      }),
    )
  })

  test.each([
    { cores: -1 },
    { cores: 1.5 },
    { cores: '2' },
    { level: 'vm' },
    { when: 5 },
    { paused: 'yes' },
    { colour: 'red' },
    [],
    null,
  ])('%j is none', (body) => {
    expect(() => settingSchema.parse(body)).toThrow()
  })

  test.each([{ when: 'never' }, { minPrice: '-1' }, { minPrice: '1.5' }, { minPrice: `${MAX_AMOUNT + 1n}` }])(
    '%j is none either',
    (body) => {
      expect(() => changeOf(settingSchema.parse(body))).toThrow(expect.objectContaining({ code: 'usage' }))
    },
  )

  test.each([
    [{ cores: 5 }, /^--cpu 5: this machine has 4 cores: try --cpu 4$/],
    [{ memoryBytes: 17 * 2 ** 30 }, /^17408MiB of memory: this machine has 16384MiB: try --memory auto$/],
    [{ memoryBytes: TASK_MEMORY_BYTES - 1 }, /^511MiB of memory: one task may need 512MiB: try --memory 512MiB/],
    [{ memoryBytes: 0 }, /^0MiB of memory: one task may need/],
  ])('%j is not to be had', (change, line) => {
    expect(() => requireFitting(change, machine)).toThrow(line)
  })

  test.each([
    {},
    { cores: 0 },
    { cores: 4, memoryBytes: 16 * 2 ** 30 },
    { cores: null, memoryBytes: null },
    { memoryBytes: TASK_MEMORY_BYTES },
  ])('%j is', (change) => requireFitting(change, machine))

  test.each([
    [{}, false, 4],
    [{}, true, 0],
    [{ cores: 2 }, true, 2],
    [{ cores: 0 }, false, 0],
    [{ cores: 8 }, false, 4], // kept when the machine was larger
    [{ memoryBytes: 2 ** 30 }, false, 2],
    [{ cores: 1, memoryBytes: 2 ** 30 }, false, 1],
    [{ memoryBytes: 16 * 2 ** 30 }, false, 4],
  ])('%j, open network: %s, has %i slots', (change, open, slots) => {
    expect(slotsOf({ ...DEFAULT_SETTING, ...change }, machine, open)).toBe(slots)
  })
})
