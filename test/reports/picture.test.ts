/** The README's picture of rates says what the lexicon that ships says. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createAssessor } from '../../src/reports/index.ts';
import { probabilityToRate } from '../../src/reports/rate.ts';

const picture = readFileSync(new URL('../../docs/rates-idea.svg', import.meta.url), 'utf8');
const assessor = createAssessor();
const rows = [
  ...picture.matchAll(
    /data-probability="([^"]+)" data-rate="([^"]+)"><text class="said"[^>]*>([^<]+)<[\s\S]*?>(\d+) %<[\s\S]*?>([\d.]+)<\/text><\/g>/g,
  ),
];

test('the picture has five sentences', () => {
  expect(rows.length).toBe(5);
});

test.each(rows.map(([, p, rate, said, percent, shown]) => [said!, Number(p), Number(rate), percent, shown]))(
  '%s',
  (said, p, rate, percent, shown) => {
    const row = assessor.assessReport(String(said)).find((one) => one.probability !== null)!;
    expect(row.probability).toBeCloseTo(Number(p), 3);
    expect(probabilityToRate(row.probability).rate).toBeCloseTo(Number(rate), 3);
    expect([percent, shown]).toEqual([String(Math.round(100 * Number(p))), Number(rate).toFixed(2)]);
  },
);
