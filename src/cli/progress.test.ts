import { describe, expect, test } from 'vitest';
import { createProgress, formatDuration } from './progress.ts';

/** A stream that remembers and a clock that is set by hand (milliseconds). */
function stage(isTTY: boolean, columns = 200) {
  const stage = {
    time: 0,
    written: [] as string[],
    options: {
      now: () => stage.time,
      stream: { isTTY, columns, write: (text: string) => stage.written.push(text) },
    },
  };
  return stage;
}

describe('in a terminal', () => {
  test('draws a bar with rate and time left over the line before, and ends the line', () => {
    const at = stage(true);
    const progress = createProgress({ label: 'epoch 1/2', total: 100, unit: 'images', ...at.options });
    at.time = 1000;
    progress.update(25, 'loss 0.50');
    at.time = 4000;
    progress.done('loss 0.25');
    progress.done();
    expect(at.written).toEqual([
      '\r\x1b[Kepoch 1/2 █████░░░░░░░░░░░░░░░ 25 %  25/100  25.0 images/s  3 s left  loss 0.50',
      '\r\x1b[Kepoch 1/2 █████░░░░░░░░░░░░░░░ 25 %  25/100  6.25 images/s  4 s  loss 0.25\n',
    ]);
  });

  test('draws at most ten times a second', () => {
    const at = stage(true);
    const progress = createProgress({ label: 'x', total: 1000, ...at.options });
    for (at.time = 0; at.time < 1000; at.time++) progress.update(at.time);
    expect(at.written).toHaveLength(10);
  });

  test('never wraps', () => {
    const at = stage(true, 30);
    const progress = createProgress({ label: 'a long label that fills the line', total: 10, ...at.options });
    progress.update(5, 'and more');
    expect(at.written[0]).toBe('\r\x1b[Ka long label that fills the …');
  });

  test('a terminal of unknown width has 80 columns', () => {
    const at = stage(true, 0);
    createProgress({ label: 'x'.repeat(100), total: 10, ...at.options }).update(5);
    expect(at.written[0]).toHaveLength('\r\x1b[K'.length + 79);
  });
});

describe('without a terminal', () => {
  test('a short job writes its end only', () => {
    const at = stage(false);
    const progress = createProgress({ label: 'phantom', total: 10, unit: 'images', ...at.options });
    for (let i = 1; i <= 10; i++) {
      at.time = i * 100;
      progress.update(i);
    }
    progress.done();
    expect(at.written).toEqual(['phantom: 100 %  10/10  10.0 images/s  1 s\n']);
  });

  test('a line at every tenth, and after 15 s of silence', () => {
    const at = stage(false);
    const progress = createProgress({ label: 'x', total: 100, ...at.options });
    const lines: [number, string][] = [];
    for (at.time = 0; at.time <= 60_000; at.time += 500) {
      // 1 unit a second to 12 s, then a standstill at 12.
      progress.update(Math.min(12, Math.floor(at.time / 1000)));
      for (const line of at.written.splice(0)) lines.push([at.time / 1000, line.slice(0, 8)]);
    }
    expect(lines).toEqual([
      [10, 'x: 10 % '],
      [25, 'x: 12 % '],
      [40, 'x: 12 % '],
      [55, 'x: 12 % '],
    ]);
  });

  test('an unknown total is counted', () => {
    const at = stage(false);
    const progress = createProgress({ label: 'x', total: 0, unit: 'files', ...at.options });
    at.time = 20_000;
    progress.update(40);
    progress.done();
    expect(at.written).toEqual(['x: 40  2.00 files/s\n', 'x: 40  2.00 files/s  20 s\n']);
  });
});

test('the rate forgets a slow start', () => {
  const at = stage(true);
  const progress = createProgress({ label: 'x', total: 100_000, ...at.options });
  // 10 s without a unit (a compiler warms up), then 100 a second.
  for (at.time = 0; at.time <= 40_000; at.time += 100) progress.update(Math.max(0, (at.time - 10_000) / 10));
  expect(at.written.at(-1)).toContain('3000/100000  100 it/s  16 min 10 s left');
});

test('durations', () => {
  expect([0, 3.4, 59.6, 65, 3599, 7620, 90_000].map(formatDuration)).toEqual([
    '0 s',
    '3 s',
    '1 min 00 s',
    '1 min 05 s',
    '59 min 59 s',
    '2 h 07 min',
    '25 h 00 min',
  ]);
});
