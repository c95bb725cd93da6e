import { describe, expect, test } from 'vitest';
import { fakeResult, throughJson } from '../../../test/fixtures/study/results.ts';
import type { ReliabilityBin } from '../../metrics/index.ts';
import { meanCurve } from '../draw/curves.ts';
import { reliabilityPanel, wilson } from '../draw/reliability.ts';
import { escapeHtml, extent, inline, linear, tag, ticks } from '../draw/svg.ts';
import type { StudyResult } from '../result.ts';
import { renderHtml } from './index.ts';

const small = { samples: 150, replicates: 40, epochs: 3 };
const HOSTILE = ['<script>alert(1)</script>', '"><img src=x onerror=y>', "it's & so", '</style>', 'é 中 ☃'];
const cases: Record<string, StudyResult> = {
  'three methods on a phantom': throughJson(fakeResult(small)),
  'one seed, an absent class, hostile names': throughJson(
    fakeResult({
      ...small,
      seeds: 1,
      posterior: false,
      classes: HOSTILE,
      absent: [4],
      intervals: ['top1', 'ece'],
      name: '<b>data</b>',
    }),
  ),
  'one method': throughJson(fakeResult({ ...small, methods: [['ls', 'Label smoothing', 1, 0.4]] })),
  'nine methods': throughJson(
    fakeResult({
      ...small,
      replicates: 5,
      samples: 60,
      methods: Array.from(
        { length: 9 },
        (_, i) => [`ls:eps=0.${i}`, 'Label smoothing', 0.6 + i / 5, 0.4] as const,
      ),
    }),
  ),
  '165 classes, no intervals': throughJson(
    fakeResult({
      ...small,
      seeds: 1,
      replicates: 0,
      posterior: false,
      classes: Array.from({ length: 165 }, (_, i) => `class ${i}`),
    }),
  ),
  'no validation, one epoch, diverged': diverged(),
};

function diverged(): StudyResult {
  const result = fakeResult({ ...small, posterior: false, seeds: 2, epochs: 1 });
  return throughJson({
    ...result,
    methods: result.methods.map((m) => ({
      ...m,
      runs: m.runs.map((r, s) => ({
        ...r,
        epochs: r.epochs.map(({ val: _, ...e }) => ({ ...e, trainLoss: s === 0 ? Number.NaN : e.trainLoss })),
      })),
    })),
  });
}

/** What a reader sees and what a reader's program hears: text and attribute values, without markup and style. */
function visible(html: string): string {
  return html.replace(/<style>.*?<\/style>/s, '').replace(/ (?:class|d|style|points)="[^"]*"/g, '');
}

/** Names the first element that is not closed or closed out of turn. */
function misnested(html: string): string | undefined {
  const open: string[] = [];
  const body = html.replace(/<style>.*?<\/style>/s, '');
  for (const [, slash, name, rest] of body.matchAll(
    /<(\/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z][a-zA-Z0-9-]*="[^"<>]*")*\s*\/?)>/g,
  )) {
    if (slash === '/') {
      if (open.pop() !== name) return `</${name}>`;
    } else if (!rest!.endsWith('/') && !['meta', 'br'].includes(name!)) open.push(name!);
  }
  return open[0];
}

describe.each(Object.entries(cases))('%s', (_, result) => {
  const html = renderHtml(result);

  test('is well-formed, and every < and > is that of an element', () => {
    expect(html.startsWith('<!doctype html>\n')).toBe(true);
    expect(misnested(html)).toBeUndefined();
    const rest = html
      .replace(/<style>.*?<\/style>/s, '')
      .replace(/<!doctype html>/, '')
      .replace(/<\/?[a-z][a-z0-9]*(?:\s+[a-zA-Z][a-zA-Z0-9-]*="[^"<>]*")*\s*\/?>/g, '');
    expect(rest).not.toMatch(/[<>]/);
  });

  test('asks for nothing from outside and runs nothing', () => {
    // In elements; what stands in the text is escaped, and the test above sees to that.
    for (const [element] of html.replace(/<style>.*?<\/style>/s, '').matchAll(/<[^>]*>/g)) {
      expect(element).not.toMatch(
        /https?:|<(?:script|link|img|iframe|object)|\s(?:src|href|xlink:href|on[a-z]+)=/i,
      );
    }
    expect(/<style>.*?<\/style>/s.exec(html)![0]).not.toMatch(/https?:|@import|<\/style>.+/);
    for (const [, target] of html.matchAll(/url\(([^)]*)\)/g)) expect(target).toBe('#hatch');
  });

  test('shows no NaN, null or undefined', () => {
    expect(visible(html)).not.toMatch(/NaN|\bnull\b|undefined|Infinity|\[object/);
    expect(html).not.toMatch(/NaN|undefined"|Infinity/);
  });

  test('every method has its diagram, its heading and its curves; every class its row', () => {
    const diagrams = html.match(/Reliability diagram of [^"]*"/g)!;
    expect(new Set(diagrams).size).toBe(result.methods.length);
    expect(new Set(html.match(/Training loss of [^"]*"/g)!).size).toBe(result.methods.length);
    for (const name of result.data.classes)
      expect(html).toContain(`<th scope="row">${escapeHtml(name)}</th>`);
    expect(html.includes('Against the truth')).toBe(result.methods[0]!.summary.truth !== undefined);
    expect(html.includes('Pairs of methods')).toBe(result.pairs.length > 0);
  });

  test('the text of colour, dark and print is there', () => {
    expect(html).toContain('@media screen and (prefers-color-scheme: dark)');
    expect(html).toContain('@media print');
  });
});

describe('reliability diagram', () => {
  const bin = (
    i: number,
    count: number,
    confidence: number | null,
    accuracy: number | null,
  ): ReliabilityBin => ({
    lower: i / 5,
    upper: (i + 1) / 5,
    count,
    confidence,
    accuracy,
    gap: confidence === null ? null : confidence - accuracy!,
  });
  const bins = [
    bin(0, 0, null, null),
    bin(1, 40, 0.3, 0.5),
    bin(2, 0, null, null),
    bin(3, 3, 0.7, 0),
    bin(4, 60, 0.95, 0.8),
  ];
  const html = inline(reliabilityPanel(bins, { title: 'x', runs: 1, greatestShare: 0.6 })).html;
  const rects = (kind: string) =>
    [
      ...html.matchAll(
        new RegExp(`<rect class="${kind}" x="([^"]+)" y="([^"]+)" width="([^"]+)" height="([^"]+)"`, 'g'),
      ),
    ].map((m) => m.slice(1).map(Number) as [number, number, number, number]);

  test('empty bins have no bar, no gap, no point, no whisker and no count', () => {
    for (const kind of ['bar', 'gap (?:over|under)', 'count']) expect(rects(kind).length, kind).toBe(3);
    expect(html.match(/class="point/g)!.length).toBe(3);
    expect(html.match(/class="whisker/g)!.length).toBe(3);
    // 42 to 270 is 0 to 1: nothing stands over [0, 0.2) and [0.4, 0.6).
    for (const [x, , width] of [...rects('bar'), ...rects('count')]) {
      const [from, to] = [(x - 42) / 228, (x + width - 42) / 228];
      expect(from > 0.199 && (to < 0.401 || from > 0.599)).toBe(true);
    }
  });

  test('a bin that is never right is not an empty bin: its gap reaches down to 0', () => {
    const [, y, , height] = rects('gap over')[0]!;
    expect(y + height).toBeCloseTo(236, 1);
    expect(rects('bar')[1]![3]).toBe(0);
  });

  test('bars end at the accuracy, gaps between accuracy and confidence, over- and under-confidence apart', () => {
    const y = linear([0, 1], [236, 8]);
    expect(rects('bar')[2]![1]).toBeCloseTo(y(0.8), 1);
    expect(rects('gap over')[1]![1]).toBeCloseTo(y(0.95), 1);
    expect(rects('gap over')[1]![3]).toBeCloseTo(0.15 * 228, 1);
    expect(rects('gap under').length).toBe(1);
    expect(rects('gap under')[0]![1]).toBeCloseTo(y(0.5), 1);
  });

  test('few images are faint; several runs of one image count once', () => {
    expect(html.match(/class="bin few"/g)!.length).toBe(1);
    const pooled = inline(reliabilityPanel(bins, { title: 'x', runs: 5, greatestShare: 0.6 })).html;
    expect(pooled.match(/class="bin few"/g)!.length).toBe(2);
  });

  test('the bin of exactly 1 has no width and yet a bar inside the frame', () => {
    const last = { lower: 1, upper: 1, count: 9, confidence: 1, accuracy: 0.9, gap: 0.1 };
    const drawn = inline(reliabilityPanel([last], { title: 'x', runs: 1, greatestShare: 1 })).html;
    const [, x, width] = /class="bar" x="([^"]+)" y="[^"]+" width="([^"]+)"/.exec(drawn)!;
    expect(Number(width)).toBeGreaterThanOrEqual(3);
    expect(Number(x) + Number(width)).toBeLessThanOrEqual(270);
  });

  test('Wilson: the roots of (s − p)² = z²·p(1 − p)/n, found by NumPy', () => {
    const expected: [number, number, number, number][] = [
      [0.8, 10, 0.4901624715366418, 0.9433178485456248],
      [0, 5, 0, 0.43448246478317476],
      [1, 5, 0.5655175352168254, 1],
      [0.5, 100, 0.4038315303659956, 0.5961684696340044],
    ];
    for (const [share, n, low, high] of expected) {
      expect(wilson(share, n)[0]).toBeCloseTo(low, 12);
      expect(wilson(share, n)[1]).toBeCloseTo(high, 12);
    }
  });
});

describe('pieces', () => {
  test('the mean of runs is there only where all have a value', () => {
    const a = [1, 2, 3].map((e) => [e, e] as const);
    const b = [[1, 3] as const, [2, null] as const];
    expect(meanCurve([a, b])).toEqual([
      [1, 2],
      [2, null],
      [3, null],
    ]);
  });

  test('ticks are round, inside, and told apart by their digits', () => {
    expect(ticks(0, 1, 5)).toEqual({
      values: [0, 0.2, 0.4, 0.6, 0.8, 1].map((v) => expect.closeTo(v, 9)),
      digits: 1,
    });
    expect(ticks(45.2, 52.9, 4).values).toEqual([46, 48, 50, 52]);
    expect(ticks(0.8231, 0.8236, 4).digits).toBe(4);
    expect(ticks(-3, 3, 6).values).toEqual([-3, -2, -1, 0, 1, 2, 3].map((v) => expect.closeTo(v, 9)));
    expect(extent([])).toEqual([0, 1]);
    expect(extent([5, Number.NaN], 0, 2)).toEqual([4, 6]);
  });

  test('text cannot become markup, and a coordinate that is not a number is an error', () => {
    expect(tag('p', { title: '"<' }, '<b>&').html).toBe('<p title="&quot;&lt;">&lt;b&gt;&amp;</p>');
    expect(() => tag('line', { x1: Number.NaN })).toThrow(RangeError);
  });
});
