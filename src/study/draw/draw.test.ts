import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fakeReport } from '../../../test/fixtures/study/report.ts';
import { parseXml, walk, type XmlElement } from '../../../test/fixtures/study/xml.ts';
import { forest, shorten } from './forest.ts';
import { heatBlocks } from './heat.ts';
import { renderStudyFigures } from './index.ts';
import { linePanel } from './lines.ts';
import { groupsOf, scatterPanel } from './scatter.ts';
import { escapeHtml, inline } from './svg.ts';

const report = fakeReport({ points: 40 });
const files = renderStudyFigures(report);
const xml = new Map([...files].map(([name, svg]) => [name, parseXml(svg)]));

const textsOf = (root: XmlElement) =>
  [...walk(root)]
    .filter((e) => e.name === 'text' || e.name === 'title' || e.name === 'desc')
    .map((e) => e.text);
const ofClass = (root: XmlElement, kind: string) =>
  [...walk(root)].filter((e) => (e.attributes.class ?? '').split(' ').includes(kind));
const panel = (svg: string) => parseXml(svg);

describe('a study’s figures', () => {
  test('every part that was measured has its file, in every cell, and no other has', () => {
    const cell = (set: string, network: string) =>
      [...files.keys()]
        .filter((n) => n.endsWith(`-${set}-${network}.svg`))
        .map((n) => n.slice(0, -`-${set}-${network}.svg`.length));
    const always = [
      'ece',
      'reliability',
      'reliability-temperature',
      'calibration',
      'risk-coverage',
      'embedding-tsne',
      'embedding-measures',
      'curves-nll',
      'curves-ece',
    ];
    for (const network of ['resnet10', 'mobilenet_v2']) {
      expect(cell('phantom', network).sort()).toEqual(
        [...always, 'truth', 'conformal', 'embedding-umap', 'certificates'].sort(),
      );
      expect(cell('rad_set', network).sort()).toEqual([...always, 'centres'].sort());
    }
    expect(files.size).toBe(2 * 13 + 2 * 10);
  });

  test.each([...files])(
    '%s stands alone: white, sized, titled, described, and without references',
    (name, svg) => {
      const root = xml.get(name)!;
      expect(root.name).toBe('svg');
      expect(root.attributes.xmlns).toBe('http://www.w3.org/2000/svg');
      const [, , width, height] = root.attributes.viewBox!.split(' ').map(Number);
      expect(Number.parseFloat(root.attributes.width!)).toBeLessThanOrEqual(180);
      expect(
        Number.parseFloat(root.attributes.width!) / Number.parseFloat(root.attributes.height!),
      ).toBeCloseTo(width! / height!, 1);
      const [title, desc] = root.children;
      expect([title!.name, desc!.name]).toEqual(['title', 'desc']);
      expect(title!.text.length).toBeGreaterThan(10);
      expect(desc!.text.length).toBeGreaterThan(40);
      const paper = root.children.find((e) => e.attributes.class === 'paper')!;
      expect([paper.attributes.width, paper.attributes.height]).toEqual([String(width), String(height)]);
      expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toMatch(
        /https?:|@import|var\(|href=|<script|<image|<foreignObject/,
      );
      for (const [, target] of svg.matchAll(/url\(([^)]*)\)/g)) expect(target).toBe('#hatch');
      for (const text of textsOf(root)) expect(text).not.toMatch(/NaN|\bnull\b|undefined|Infinity|\[object/);
      // Axes, marks and words stay on the paper: no coordinate lies far outside it.
      for (const { attributes } of walk(root))
        for (const key of ['x1', 'x2', 'cx', 'y1', 'y2', 'cy'])
          if (attributes[key] !== undefined)
            expect(Math.abs(Number(attributes[key]))).toBeLessThan(width! + height!);
    },
  );

  test('file names are safe on every system, also where sets differ in case or in what is replaced', () => {
    const same = fakeReport({ points: 0 });
    same.sets[0]!.id = 'A/b';
    same.sets[1]!.id = 'a:B';
    for (const cell of same.cells) cell.set = cell.set === 'phantom' ? 'A/b' : 'a:B';
    const names = [...renderStudyFigures(same).keys()];
    expect(new Set(names.map((n) => n.toLowerCase())).size).toBe(names.length);
    expect(names).toContain('ece-A_b-resnet10.svg');
    expect(names).toContain('ece-a_B-resnet10-2.svg');
    for (const name of [...names, ...files.keys()]) expect(name).toMatch(/^[a-z][A-Za-z0-9._+-]*\.svg$/);
  });

  test('a method has one colour and one shape in all figures', () => {
    const focal = report.methods.findIndex((m) => m.id === 'focal');
    const named = [...xml].flatMap(([name, root]) =>
      name.startsWith('reliability')
        ? [...walk(root)].flatMap((g) =>
            g.children.flatMap((e, i) =>
              e.text === 'Focal loss' && e.attributes.class === 'head' ? [g.children[i - 1]!] : [],
            ),
          )
        : [],
    );
    expect(named.length).toBe(8);
    for (const mark of named) {
      expect(mark.attributes.class).toBe(`method m${focal % 7}`);
      expect(mark.children[0]!.name).toBe('polygon');
    }
  });

  test('what is undefined is said in words and has no mark; an undefined figure is no zero', () => {
    const some = fakeReport({ points: 0 });
    const hard = some.cells[0]!.calibration[0]!.methods[1]!;
    hard.figures.ece = { value: null, low: null, high: null };
    const root = parseXml(renderStudyFigures(some).get('ece-phantom-resnet10.svg')!);
    expect(textsOf(root).filter((t) => t.includes('not defined')).length).toBeGreaterThan(0);
    // 12 methods × (2 ECE, 2 NLL, 1 Top-1), the undefined one gone, and the two marks of the legend.
    expect(ofClass(root, 'dot').length).toBe(12 * 5 - 1 + 2);
    const heat = parseXml(renderStudyFigures(some).get('calibration-phantom-resnet10.svg')!);
    expect(ofClass(heat, 'heat').length).toBe(12 * 5 * 2 - 1);
  });

  test('a study of one method, one seed, nothing calibrated and nothing tested is drawn', () => {
    const one = fakeReport({ points: 0 });
    one.replicates = 0;
    one.calibrators = [];
    one.methods = one.methods.slice(0, 1);
    for (const cell of one.cells) {
      cell.calibration = cell.calibration.slice(0, 1);
      cell.calibration[0]!.methods = cell.calibration[0]!.methods.slice(0, 1);
      for (const estimate of Object.values(cell.calibration[0]!.methods[0]!.figures))
        Object.assign(estimate, { low: null, high: null });
      cell.comparison.methods = cell.comparison.methods.slice(0, 1);
      Object.assign(cell, {
        selective: null,
        conformal: [],
        centres: [],
        strata: [],
        embeddings: null,
        certificates: null,
      });
    }
    const names = [...renderStudyFigures(one)].map(([name, svg]) => [name, parseXml(svg)] as const);
    expect(names.map(([n]) => n).filter((n) => n.includes('rad_set-resnet10'))).toEqual([
      'ece-rad_set-resnet10.svg',
      'reliability-rad_set-resnet10.svg',
      'curves-nll-rad_set-resnet10.svg',
      'curves-ece-rad_set-resnet10.svg',
    ]);
    for (const [, root] of names) expect(textsOf(root).join(' ')).not.toMatch(/NaN|undefined|Infinity/);
  });
});

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
    expect(path!.attributes.d).toBe('M6 81h0M106 81h0M6 31h0');
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
