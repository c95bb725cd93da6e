import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseXml, walk, type XmlElement } from '../../../test/fixtures/study/xml.ts';
import type { ReliabilityBin } from '../../metrics/index.ts';
import { escapeHtml, extent, inline, linear, tag, ticks } from '../../page/svg.ts';
import { beyond, curveDomain, meanCurve } from './curves.ts';
import { forest, shorten } from './forest.ts';
import { heatBlocks } from './heat.ts';
import { linePanel } from './lines.ts';
import { reliabilityPanel } from './reliability.ts';
import { groupsOf, scatterPanel } from './scatter.ts';

const ofClass = (root: XmlElement, kind: string) =>
  [...walk(root)].filter((e) => (e.attributes.class ?? '').split(' ').includes(kind));
const panel = (svg: string) => parseXml(svg);

describe('panels', () => {
  const row = (value: number | null, low: number | null = value, high: number | null = value) => [
    { value, low, high, tip: 'x' },
  ];

  test('forest: an error’s axis starts at 0, panels that share their reach share their scale', () => {
    const rows = [
      { name: 'a', series: 0 },
      { name: 'b', series: 1 },
    ];
    const base = { head: 'ECE', scale: 100, digits: 1, fromZero: true, reference: null };
    const reach = [0.01, 0.4];
    const root = panel(
      inline(
        forest(
          rows,
          [
            { ...base, reach, marks: [row(0.1, 0.05, 0.2), row(0.4, 0.3, 0.4)] },
            { ...base, reach, marks: [row(0.01, 0.01, 0.02), row(0.1, 0.05, 0.2)] },
          ],
          'x',
        ),
      ).html,
    );
    const frames = ofClass(root, 'frame').map(
      (f) => [Number(f.attributes.x1), Number(f.attributes.x2)] as const,
    );
    const intervals = ofClass(root, 'interval').map(
      (f) => [Number(f.attributes.x1), Number(f.attributes.x2)] as const,
    );
    const place = (p: number, v: number) =>
      frames[p]![0] + (v / (40 * 1.08)) * (frames[p]![1] - frames[p]![0]);
    expect(intervals[0]![0]).toBeCloseTo(place(0, 5), 1);
    expect(intervals[0]![1]).toBeCloseTo(place(0, 20), 1);
    expect(intervals[3]![0]).toBeCloseTo(place(1, 5), 1);
    const zeros = [...walk(root)].filter((e) => e.name === 'text' && e.text === '0');
    expect(zeros.map((e) => Number(e.attributes.x))).toEqual(frames.map(([left]) => expect.closeTo(left, 1)));
  });

  test('forest: long names keep their ends, where they differ', () => {
    expect(shorten('Generalized label smoothing, rate −0.2', 24)).toBe('Generalized labe…te −0.2');
    expect([...shorten('x'.repeat(80), 20)].length).toBe(20);
    expect(shorten('short', 20)).toBe('short');
  });

  test('heat: the least is white, the greatest darkest, what is undefined has no shade', () => {
    const cell = (value: number | null) => ({ value, text: value === null ? '–' : String(value), tip: 'x' });
    const root = panel(
      inline(
        heatBlocks(
          ['a', 'b'],
          ['p', 'q'],
          [
            {
              head: 'h',
              cells: [
                [cell(2), cell(1)],
                [cell(null), cell(3)],
              ],
            },
          ],
          'x',
        ),
      ).html,
    );
    expect(ofClass(root, 'heat').map((e) => Number(e.attributes['fill-opacity']))).toEqual([0.275, 0, 0.55]);
  });

  test('lines break where a value is missing, and a value alone is a dot', () => {
    const root = panel(
      inline(
        linePanel({
          label: 'x',
          x: { name: 'epoch', domain: [1, 5], whole: true },
          y: { domain: [0, 1] },
          lines: [
            {
              kind: 'mean',
              series: 2,
              points: [
                [1, 0.1],
                [2, 0.2],
                [3, null],
                [4, 0.4],
                [5, null],
              ],
            },
          ],
        }),
      ).html,
    );
    expect([...walk(root)].filter((e) => e.name === 'path').map((e) => e.attributes.d)).toEqual([
      'M40.0 155.8L96.5 139.6',
    ]);
    expect([...walk(root)].filter((e) => e.name === 'circle').map((e) => e.attributes.cx)).toEqual(['209.5']);
  });

  test('scatter: both directions have one scale, and points without a place are left out', () => {
    const root = panel(inline(scatterPanel('x', [0, 0, 10, 0, 0, 5, null, 3], [0, 0, 0, 0], 112)).html);
    const [path] = [...walk(root)].filter((e) => e.name === 'path');
    // 100 px for 10 units, and 5 units up from the middle.
    expect(path!.attributes.d).toBe('M3.5 81h5M6 78.5v5M103.5 81h5M106 78.5v5M3.5 31h5M6 28.5v5');
  });

  test('scatter: classes, then what is coarser, then the commonest', () => {
    expect(groupsOf([1, 0], ['a', 'b'], {})).toEqual({ names: ['a', 'b'], groups: [1, 0], by: 'class' });
    const classes = Array.from({ length: 20 }, (_, k) => `c${k}`);
    const strata = {
      modality: classes.map((_, k) => (k < 10 ? 'CT' : 'MR')),
      side: classes.map(() => 'left'),
    };
    expect(groupsOf([3, 15], classes, strata)).toEqual({
      names: ['CT', 'MR'],
      groups: [0, 1],
      by: 'modality',
    });
    const common = groupsOf([...Array<number>(5).fill(19), 4, 4, 0], classes, {});
    expect(common.names.slice(0, 2)).toEqual(['c19', 'c4']);
    expect(common.names.at(-1)).toBe('9 other classes');
    expect(common.groups.slice(-3)).toEqual([1, 1, 2]);
  });

  test('any text at all gives well-formed markup', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 30 }), (text) => {
        const root = parseXml(`<a b="${escapeHtml(text)}">${escapeHtml(text)}</a>`);
        expect(root.text.length).toBeGreaterThanOrEqual(0);
      }),
    );
    expect(escapeHtml('\u0000\ud800 a\n')).toBe('\ufffd\ufffd a\n');
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

test('learning curves are not flattened by a first epoch far from the others, which is then said in words', () => {
  const curve = {
    method: 0,
    runs: [
      [
        [1, 9],
        [2, 1.1],
        [3, 1],
        [4, 0.9],
      ] as const,
    ],
  };
  const domain = curveDomain([curve]);
  expect(domain[1]).toBeLessThan(1.3);
  expect(beyond(curve, domain)).toEqual([[1, 9]]);
  const even = {
    method: 0,
    runs: [
      [
        [1, 1.3],
        [2, 1.1],
        [3, 1],
        [4, 0.9],
      ] as const,
    ],
  };
  expect(curveDomain([even])[1]).toBeGreaterThan(1.3);
  expect(beyond(even, curveDomain([even]))).toEqual([]);
});
