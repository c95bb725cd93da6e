import { describe, expect, test } from 'vitest';
import { fakeResult, throughJson } from '../../test/fixtures/study/results.ts';
import { renderMarkdown } from './markdown.ts';
import { renderTable } from './table.ts';

const small = { samples: 150, replicates: 60, epochs: 2 };
const three = throughJson(fakeResult(small));
const hostile = throughJson(
  fakeResult({
    ...small,
    posterior: false,
    seeds: 1,
    absent: [1],
    intervals: ['top1'],
    classes: ['a|b', '<script>alert(1)</script>', '*bold* _x_ [l](u)', 'line\nbreak', '`code`', '# head'],
    name: 'Data | set `x`',
  }),
);

const ESCAPE = String.fromCharCode(27);

function plain(text: string): string {
  return text.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), '');
}

/** The lines of the figures, without the text around them. */
function rows(text: string): string[] {
  return plain(text)
    .split('\n')
    .filter((line) => /(↑|↓|→ 0) /.test(line) && !line.startsWith('['));
}

describe('table', () => {
  test('a row for each figure, values and intervals under each other', () => {
    const lines = rows(renderTable(three, { width: 200 }));
    expect(lines.map((l) => l.split(/ (?:↑|↓|→)/)[0])).toEqual([
      'Top-1 (%)',
      'Balanced accuracy (%)',
      'AUROC',
      'NLL (nats)',
      'Brier score',
      'ECE (%)',
      'ECE, equal mass (%)',
      'MCE (%)',
      'Class-wise ECE (%)',
      'Confidence − accuracy (%)',
      'Total variation to truth (%)',
      'KL to truth (nats)',
      'Squared error to truth',
      'ECE to truth (%)',
    ]);
    const columns = lines.map((line) => [...line.matchAll(/ \[[−\d]/g)].map((m) => m.index));
    expect(columns[0]!.length).toBe(3);
    for (const c of columns) expect(c).toEqual(columns[0]);
    // The method's name starts where its cells do.
    const head = plain(renderTable(three, { width: 200 }))
      .split('\n')
      .find((l) => l.startsWith(' ') && l.includes('Label smoothing'))!;
    expect(head.indexOf('Hard labels')).toBeLessThan(columns[0]![0]!);
    expect(head.indexOf('Label smoothing')).toBeGreaterThan(columns[0]![0]!);
    expect(head.indexOf('Online label smoothing')).toBeGreaterThan(columns[0]![1]!);
  });

  test('the first row holds the numbers of the result', () => {
    const { value, low, high } = three.methods[0]!.summary.top1;
    const [v, l, h] = [value!, low!, high!].map((x) => (100 * x).toFixed(1));
    expect(rows(renderTable(three))[0]).toContain(`${v} [${l}, ${h}]`);
  });

  test('fits the width by putting methods under each other, and no line is longer', () => {
    for (const width of [60, 80, 100, 140]) {
      const text = renderTable(three, { width });
      for (const line of text.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(width);
      for (const { label } of three.methods) expect(text).toContain(label);
    }
    expect(rows(renderTable(three, { width: 60 })).length).toBe(
      3 * rows(renderTable(three, { width: 200 })).length,
    );
  });

  test('colour adds only escape codes', () => {
    const without = renderTable(three, { width: 100 });
    expect(without).not.toContain(ESCAPE);
    const colored = renderTable(three, { width: 100, color: true });
    expect(colored).toContain(ESCAPE);
    const trimmed = (text: string) => plain(text).replace(/ +$/gm, '');
    expect(trimmed(colored)).toBe(trimmed(without));
  });

  test('the marks are where the corrected p says', () => {
    const ece = rows(renderTable(three, { width: 200 })).find((l) => l.startsWith('ECE (%)'))!;
    const expected = three.pairs.filter((p) => p.first === 'hard' && p.corrected.ece! < 0.05);
    // 60 resamples and three pairs: no corrected p is below 0.05, so that nothing may be marked.
    expect(expected.length).toBe(0);
    expect(ece).not.toMatch(/✓|✗/);
    const sure = {
      ...three,
      pairs: three.pairs.map((p) => ({ ...p, corrected: { ...p.corrected, ece: 0.01 } })),
    };
    expect(
      rows(renderTable(sure, { width: 200 }))
        .find((l) => l.startsWith('ECE (%)'))!
        .match(/✓/g)!.length,
    ).toBe(2);
  });

  test('one method has no best, no marks and no comparison', () => {
    const one = fakeResult({ ...small, methods: [['ols', 'Online label smoothing', 1, 0.4]] });
    const text = renderTable(one);
    expect(text).not.toMatch(/[*✓✗]/);
    expect(text).toMatch(/mean\s+confidence/);
  });

  test('what is not defined is a dash, and nothing else shows through', () => {
    const text = renderTable({
      ...hostile,
      methods: hostile.methods.map((m) => ({
        ...m,
        summary: { ...m.summary, auroc: { value: null, low: null, high: null } },
      })),
    });
    expect(rows(text).find((l) => l.startsWith('AUROC'))).toMatch(/–.*–.*–/);
    expect(text).not.toMatch(/NaN|null|undefined|Infinity|\[object/);
  });
});

describe('Markdown', () => {
  test('every row of a table has as many cells as its head, whatever the names hold', () => {
    for (const result of [three, hostile]) {
      const blocks = renderMarkdown(result)
        .split('\n\n')
        .filter((b) => b.startsWith('|'));
      expect(blocks.length).toBe(3);
      for (const block of blocks) {
        const counts = block
          .trim()
          .split('\n')
          .map((line) => line.split(/(?<!\\)\|/).length);
        expect(new Set(counts).size, block).toBe(1);
      }
    }
  });

  test('names are text, not markup', () => {
    const text = renderMarkdown(hostile);
    expect(text).toContain('a\\|b');
    expect(text).toContain('&lt;script&gt;');
    expect(text).toContain('\\*bold\\* \\_x\\_ \\[l\\](u)');
    expect(text).toContain('line break');
    expect(text).not.toContain('<script');
    expect(text).not.toMatch(/NaN|null|undefined|Infinity|\[object/);
  });

  test('says the same numbers as the terminal', () => {
    const text = renderMarkdown(three);
    for (const line of rows(renderTable(three, { width: 200 }))) {
      for (const [interval] of line.matchAll(/\[[−\d., ]+\]/g)) expect(text).toContain(interval);
    }
    for (const { label } of three.methods) expect(text).toContain(`**${label}.**`);
  });

  test('a command with backticks stays in its block', () => {
    expect(renderMarkdown({ ...three, command: 'penumbra ```x```' })).toContain(
      '````sh\npenumbra ```x```\n````',
    );
  });
});
