import { describe, expect, test } from 'vitest';
import { fakeReport, type Mutable } from '../../../test/fixtures/study/report.ts';
import { parseXml, walk, type XmlElement } from '../../../test/fixtures/study/xml.ts';
import { escapeHtml } from '../draw/svg.ts';
import { viewOf } from '../figures-study.ts';
import type { StudyReport, TestedDifference } from '../study-result.ts';
import { renderStudyHtml } from './index.ts';
import { readStudy } from './study-reading.ts';

const whole = fakeReport({ points: 40 });

/** The document as XML: what only HTML allows is taken away. */
function parsed(html: string): XmlElement {
  return parseXml(
    html
      .replace('<!doctype html>\n', '')
      .replace(/<style>.*?<\/style>/s, '')
      .replace(/<(meta[^>]*|br)>/g, '<$1/>'),
  );
}

const spoken = (root: XmlElement) =>
  [...walk(root)].flatMap((e) => [e.text, e.attributes.title ?? '', e.attributes['aria-label'] ?? '']);

describe('the report of a study', () => {
  const html = renderStudyHtml(whole);
  const root = parsed(html);
  const byId = new Map(
    [...walk(root)].flatMap((e) => (e.attributes.id === undefined ? [] : [[e.attributes.id, e] as const])),
  );

  test('is well-formed, runs nothing and asks for nothing', () => {
    expect(root.name).toBe('html');
    for (const { name, attributes } of walk(root)) {
      expect(name).not.toMatch(/^(script|link|img|iframe|object|image|foreignObject)$/);
      for (const [key, value] of Object.entries(attributes)) {
        expect(key).not.toMatch(/^(src|on.*)$/i);
        if (key === 'href') expect(value).toMatch(/^#/);
      }
    }
    expect(/<style>.*?<\/style>/s.exec(html)![0]).not.toMatch(/https?:|@import/);
  });

  test('every link of the contents leads somewhere, ids are there once, every cell and part has its place', () => {
    const ids = [...walk(root)].flatMap((e) => e.attributes.id ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    const links = [...walk(root)].flatMap((e) => e.attributes.href ?? []);
    expect(links.length).toBeGreaterThan(4 * 13);
    for (const link of links) expect(byId.has(link.slice(1)), link).toBe(true);
    for (let i = 1; i <= 4; i++) expect(byId.get(`cell-${i}`)!.name).toBe('article');
  });

  test('shows no NaN, null, undefined or Infinity, and hostile names only as text', () => {
    for (const text of spoken(root)) expect(text).not.toMatch(/NaN|\bnull\b|undefined|Infinity|\[object/);
    expect(html).not.toContain('<img');
    expect(html).toContain(escapeHtml('"><img src=x onerror=y>'));
    expect(spoken(root).some((t) => t === 'OLS <fine & "grained">')).toBe(true);
  });

  test('what is missing stands before everything else', () => {
    expect(html.indexOf('This study is not whole')).toBeLessThan(html.indexOf('What it shows</h2>'));
    expect(html).toContain(escapeHtml(whole.missing[0]!));
    const full = fakeReport({ points: 0 });
    full.missing = [];
    expect(renderStudyHtml(full)).not.toContain('This study is not whole');
  });

  test('an absent part says why, and one of which nothing is known does not pretend', () => {
    const textOf = (id: string) => [...walk(byId.get(id)!)].map((e) => e.text).join(' ');
    expect(textOf('cell-1-centres')).toContain('Not there: no other centre was named for phantom.');
    expect(textOf('cell-3-truth')).toContain('Not there: only a phantom knows it.');
    expect(textOf('cell-3-conformal')).toContain('the validation split <was> needed & used up.');
    const bare = fakeReport({ points: 0 });
    bare.cells[0]!.absent = {};
    bare.cells[0]!.certificates = null;
    expect(renderStudyHtml(bare)).toContain('Not part of this result.');
  });

  test('two methods of one label are told apart by their ids', () => {
    const heads = [...walk(byId.get('overview')!)]
      .filter((e) => e.attributes.class === 'method-name')
      .map((e) => e.text);
    expect(heads).toContain('Label smoothing (ls)');
    expect(heads).toContain('Label smoothing (ls:eps=0.2)');
    expect(new Set(heads).size).toBe(12);
  });

  test('every method is in the overview of every cell, and no undefined figure is shaded as best', () => {
    const rows = [...walk(byId.get('overview')!)].filter(
      (e) => e.name === 'tr' && e.children[1]!.name === 'td',
    );
    // Three cells side by side, then the fourth; four figures of each.
    expect(rows.map((row) => row.children.length - 1)).toEqual([
      ...Array<number>(12).fill(12),
      ...Array<number>(12).fill(4),
    ]);
    const css = fakeReport({ points: 0 });
    const made = parsed(renderStudyHtml(css));
    for (const e of walk(made))
      if (e.attributes.class?.includes('best')) expect(e.children[0]!.text).not.toBe('–');
  });

  test('every picture says what it is of', () => {
    const pictures = [...walk(root)].filter((e) => e.name === 'svg');
    expect(pictures.length).toBeGreaterThan(100);
    for (const { attributes } of pictures)
      expect(attributes['aria-hidden'] === 'true' || (attributes['aria-label'] ?? '').length > 5).toBe(true);
  });

  test('a study without a finished cell is a report that says so', () => {
    const empty = fakeReport({ points: 0 });
    empty.cells = [];
    const text = renderStudyHtml(empty);
    expect(text).toContain('No cell of this study is finished');
    expect(parsed(text).name).toBe('html');
  });
});

/** A report of one cell and two methods with the given differences of the second from the first. */
function duel(changes: {
  readonly before?: Partial<Record<string, [value: number, corrected: number | null]>>;
  readonly after?: Partial<Record<string, [value: number, corrected: number | null]>>;
}): Mutable<StudyReport> {
  const report = fakeReport({ points: 0 });
  report.cells = report.cells.slice(2, 3);
  report.sets = report.sets.slice(1);
  report.methods = report.methods.filter((m) => m.id === 'hard' || m.id === 'ols');
  const cell = report.cells[0]!;
  Object.assign(cell, { centres: [], selective: null, embeddings: null, strata: [] });
  for (const results of cell.calibration) {
    results.methods = results.methods.filter((m) => m.method === 'hard' || m.method === 'ols');
    const given =
      results.calibrator === 'none'
        ? changes.before
        : results.calibrator === 'temperature'
          ? changes.after
          : undefined;
    const versus = results.methods[1]!.versus! as Record<string, Mutable<TestedDifference>>;
    for (const name of Object.keys(versus)) {
      const [value, corrected] = given?.[name] ?? [0.001, 0.8];
      versus[name] = { value, low: value - 0.01, high: value + 0.01, p: corrected, corrected };
    }
  }
  return report;
}

function said(report: Mutable<StudyReport>) {
  const { overall, cells } = readStudy(viewOf(report));
  const answers = cells.flatMap((c) => c.answers);
  return {
    overall: overall.map((r) => `${r.kind}: ${r.text.replaceAll('\u00a0', ' ')}`),
    answer: (question: RegExp) =>
      answers
        .filter((a) => question.test(a.question))
        .flatMap((a) => a.remarks.map((r) => `${r.kind}: ${r.text}`)),
  };
}

describe('the reading', () => {
  test('better before, better after a temperature', () => {
    const { overall, answer } = said(duel({ before: { ece: [-0.15, 0.01] }, after: { ece: [-0.03, 0.02] } }));
    expect(answer(/change the calibration error/)).toEqual([
      expect.stringMatching(
        /^good: ECE significantly lower than Hard labels \(.* %\): Online label smoothing \(.* %\), p = 0\.010\.$/,
      ),
    ]);
    expect(answer(/still help, once a temperature/)[1]).toMatch(
      /^good: Still significantly lower ECE than Hard labels with a temperature: Online label smoothing \(.* %\), p = 0\.020\.$/,
    );
    expect(overall).toContain('good: ECE significantly lower than Hard labels: Online label smoothing.');
  });

  test('a gain that the temperature takes away is not called one any more', () => {
    const { answer, overall } = said(duel({ before: { ece: [-0.15, 0.01] }, after: { ece: [-0.01, 0.2] } }));
    const after = answer(/still help, once a temperature/);
    expect(after).toContain('plain: The gain is no longer significant: Online label smoothing.');
    expect(after.join()).not.toContain('Still significantly');
    expect(overall).toContain(
      'plain: No method’s ECE differs significantly from that of Hard labels, all with a temperature.',
    );
  });

  test('a gain that turns into harm', () => {
    const { answer } = said(duel({ before: { ece: [-0.15, 0.01] }, after: { ece: [0.02, 0.01] } }));
    expect(answer(/still help, once a temperature/)[1]).toMatch(
      /^bad: The gain turns into harm, ECE significantly higher/,
    );
  });

  test('what hurts is said as harm, in the answer and over all', () => {
    const { overall, answer } = said(
      duel({ before: { ece: [0.05, 0.01], top1: [-0.03, 0.02], nll: [0.2, 0.001], auroc: [-0.01, 0.04] } }),
    );
    expect(answer(/change the calibration error/)[0]).toMatch(
      /^bad: ECE significantly higher than Hard labels/,
    );
    expect(answer(/cost or bring in accuracy/)[0]).toMatch(
      /^bad: Top-1 significantly lower than Hard labels .*, p = 0\.020\.$/,
    );
    expect(answer(/Where do they hurt/)).toEqual(['bad: Online label smoothing: Top-1, AUROC, NLL and ECE.']);
    expect(overall).toContain('bad: ECE significantly higher than Hard labels: Online label smoothing.');
    expect(overall).toContain('bad: Top-1 significantly lower than Hard labels: Online label smoothing.');
  });

  test('large but not significant is not a difference; nothing significant is said to be no proof', () => {
    const { overall, answer } = said(duel({ before: { ece: [-0.15, 0.06], top1: [0.04, 0.051] } }));
    expect([...overall, ...answer(/./)].join('\n')).not.toMatch(/^(good|bad):/m);
    expect(answer(/change the calibration error/)[0]).toMatch(
      /^plain: No method differs significantly from Hard labels/,
    );
    expect(answer(/Where do they hurt/)[0]).toMatch(
      /No method is significantly worse than Hard labels in .* or ECE\. That is no proof that none is\./,
    );
  });

  test('where nothing is significant the methods are not listed one by one', () => {
    const { answer } = said(duel({}));
    expect(answer(/change the calibration error/)).toEqual([
      expect.stringMatching(/^plain: No method differs significantly from Hard labels \(.* %\) in ECE\.$/),
    ]);
    expect(answer(/still help, once a temperature/)[1]).toBe(
      'plain: No method differs significantly from Hard labels with a temperature.',
    );
  });

  test('what was not tested is not called undecided', () => {
    const { answer } = said(duel({ before: { ece: [-0.15, null] } }));
    expect(answer(/change the calibration error/)).toEqual([
      'plain: Not tested in ECE: Online label smoothing.',
    ]);
  });

  test('the level decides, not 0.05', () => {
    const strict = duel({ before: { ece: [-0.15, 0.01] } });
    strict.level = 0.99;
    expect(said(strict).answer(/change the calibration error/)[0]).toMatch(/^plain: No method differs/);
  });

  test('counts over cells say how many of how many', () => {
    const report = fakeReport({ points: 0 });
    const ece = (i: number) =>
      report.cells[i]!.calibration[0]!.methods.find((m) => m.method === 'ols')!.versus!.ece;
    ece(0).corrected = 0.5;
    Object.assign(ece(1), { value: 0.05, corrected: 0.01 });
    const { overall } = said(report);
    expect(overall.find((r) => r.startsWith('good: ECE significantly lower than Hard labels:'))).toContain(
      'Online label smoothing (2 of 4)',
    );
    expect(overall.find((r) => r.startsWith('bad: ECE significantly higher than Hard labels:'))).toContain(
      'Online label smoothing (1 of 4)',
    );
  });

  test('too few resamples for any p to survive the correction', () => {
    const report = fakeReport({ points: 0 });
    report.replicates = 200;
    expect(said(report).overall[0]).toMatch(
      /^plain: 200 resamples cannot show a p below 0\.11 after correction over 11 comparisons/,
    );
    report.replicates = 1000;
    expect(said(report).overall[0]).not.toMatch(/cannot show/);
    report.replicates = 0;
    expect(said(report).overall[0]).toBe('plain: No resamples were asked for: nothing was tested.');
  });

  test('centres: how many drop beyond chance, with the direction that is worse for each figure', () => {
    const report = fakeReport({ points: 0 });
    report.cells = report.cells.slice(2, 3);
    const centre = report.cells[0]!.centres[0]!;
    report.cells[0]!.centres = [centre];
    centre.methods[0]!.drop.ece = { value: 0.05, low: 0.02, high: 0.08, p: 0.01 };
    centre.methods[1]!.drop.top1 = { value: 0.01, low: -0.02, high: 0.04, p: 0.5 };
    const remarks = said(report).answer(/What is left in Clinic "B" & <C>/);
    expect(remarks[0]).toBe(
      'plain: Top-1 out of centre against in centre: between −12.0 and −1.0 points over the methods, worse beyond chance for 11 of 12 (95 % interval without 0, not corrected for the number of methods).',
    );
    expect(remarks[1]).toContain('worse beyond chance for 11 of 12 and better beyond chance for 1 of 12');
  });

  test('conformal sets that cover too little are named', () => {
    const remarks = said(fakeReport({ points: 0 })).answer(/conformal sets/);
    expect(remarks[0]).toBe(
      'plain: LAC: measured coverage below 90.0 % beyond chance (95 % interval, not corrected) for OLS <fine & "grained"> (85.0 %).',
    );
  });

  test('without calibrators the question is answered by the reason', () => {
    const report = duel({});
    report.cells[0]!.calibration = report.cells[0]!.calibration.slice(0, 1);
    report.cells[0]!.absent = { calibration: 'brain has no validation split' };
    expect(said(report).answer(/still help/)).toEqual(['plain: Not known: brain has no validation split.']);
  });
});
