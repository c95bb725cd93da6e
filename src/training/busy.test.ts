import { describe, expect, test } from 'vitest';
import { BusyWatch, type ProcessorTimes, processorTimes } from './busy.ts';

/** A machine of four processors whose time passes by itself. */
class Machine {
  private now: ProcessorTimes = { seconds: 100, busy: 1000, own: 50, processors: 4 };

  /** @param own processors that the run has, @param others that other programs have */
  pass(seconds: number, own: number, others: number): void {
    const { now } = this;
    this.now = {
      ...now,
      seconds: now.seconds + seconds,
      own: now.own + own * seconds,
      busy: now.busy + (own + others) * seconds,
    };
  }

  readonly clock = () => this.now.seconds;
  readonly times = () => this.now;
}

/** What is told over a minute of steps of eight images each. */
function over(minute: readonly { speed: number; own: number; others: number }[], threads: number): string[] {
  const machine = new Machine();
  const watch = new BusyWatch(threads);
  const told: string[] = [];
  for (const { speed, own, others } of minute) {
    for (let seconds = 0; seconds < 60; seconds += 8 / speed) {
      machine.pass(8 / speed, own, others);
      const message = watch.step(8, machine.clock, machine.times);
      if (message !== undefined) told.push(message);
    }
  }
  return told;
}

const quiet = { speed: 40, own: 3.9, others: 0.05 };

describe('a busy machine', () => {
  test('is told once, with what to do', () => {
    const told = over([quiet, { speed: 8, own: 3, others: 1 }, { speed: 8, own: 3, others: 1 }], 4);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(/^8\.0 images\/s, 40\.\d at the start; other programs take 1\.0 of 4 processors/);
    expect(told[0]).toContain('--threads auto');
  });

  test('is noticed where it was busy from the start', () => {
    const [told] = over([{ speed: 8, own: 3.2, others: 0.8 }], 4);
    expect(told).toMatch(/^other programs take 0\.8 of 4 processors/);
  });

  test('with one thread there is no number to choose', () => {
    const [told] = over([{ speed: 8, own: 0.4, others: 3.6 }], 1);
    expect(told).not.toContain('--threads');
  });

  test.each([
    ['nobody else is at work', [quiet, quiet], 4],
    ['other runs have the processors that this one leaves', [{ speed: 20, own: 1.9, others: 2.1 }], 2],
    ['others are at work on a machine that has room', [{ speed: 20, own: 2, others: 1.5 }], 2],
    ['it is slow for a moment', [quiet, { speed: 8, own: 3, others: 1 }].map((one) => one), 4],
  ] as const)('nothing is told where %s', (name, minute, threads) => {
    if (!name.includes('moment')) return expect(over(minute, threads)).toEqual([]);
    const machine = new Machine();
    const watch = new BusyWatch(threads);
    for (let step = 0; step < 400; step++) {
      const slow = step >= 100 && step < 110;
      machine.pass(slow ? 1 : 0.2, 3.9, slow ? 1 : 0);
      expect(watch.step(8, machine.clock, machine.times)).toBeUndefined();
    }
    return undefined;
  });

  test('a run that is slow by itself is sent to look elsewhere', () => {
    const told = over([quiet, { speed: 10, own: 1, others: 0.1 }], 4);
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('the disk');
  });
});

test('processor times are those of this machine', () => {
  const before = processorTimes();
  while (processorTimes().own - before.own < 0.05);
  const after = processorTimes();
  expect(after.busy).toBeGreaterThan(0);
  expect(after.processors).toBeGreaterThanOrEqual(1);
  expect(after.seconds).toBeGreaterThan(before.seconds);
});
