import { describe, expect, test } from 'vitest';
import { escapeLatex, tableCsv, tableLatex, tableMarkdown, tableText } from './render.ts';
import { type ColumnSpec, plain, type RowSpec, tableOf } from './table.ts';

const percent: ColumnSpec = { id: 'top1', label: 'Top-1', unit: '%', better: 'higher' };
const loss: ColumnSpec = { id: 'nll', label: 'NLL', unit: 'nats', better: 'lower', group: 'Loss' };
const head = {
  id: 'main',
  title: 'a_b',
  caption: '5 % of $x$.',
  stubs: ['Network', 'Method'],
  notes: ['p < 0.05'],
};

function row(name: string, top1: number, half: number, block = false, p: number | null = null): RowSpec {
  return {
    stubs: ['net', name],
    block,
    cells: [
      {
        estimate: { value: top1, low: top1 - half, high: top1 + half },
        versus: p === null ? null : { value: top1 - 0.5, low: 0, high: 0, p, adjusted: p },
      },
      plain(name === 'c' ? null : 1.23456),
    ],
  };
}

describe('digits follow the intervals', () => {
  test.each([
    [0.0312, 1], // ±3.1 points
    [0.0031, 2], // ±0.31
    [0.0041, 1], // ±0.4
    [0.00012, 3], // ±0.012
    [0.0000001, 3], // never more than two beyond the least
    [0.4, 1], // never fewer than the least
  ])('a half width of %f shows %i', (half, digits) => {
    expect(tableOf(head, [percent, loss], [row('a', 0.5, half)], 0.05).columns[0]!.digits).toBe(digits);
  });
});

describe('the best of a block', () => {
  const best = (rows: Parameters<typeof tableOf>[2], columns = [percent, loss]) =>
    tableOf(head, columns, rows, 0.05).rows.map(({ cells }) => cells[0]!.best);
  const base = (stub: string, value: number) => ({ ...row(stub, value, 0.03, true), baseline: true });

  test('is called so only where a test supports it, with ties as shown', () => {
    const rows = [base('a', 0.5), row('b', 0.61204, 0.03, false, 0.01), row('c', 0.61196, 0.03, false, 0.01)];
    expect(best(rows)).toEqual([false, true, true]);
    // The greatest value alone is no reason, nor is a column without tests, such as MCE's.
    expect(best([base('a', 0.5), row('b', 0.7, 0.03, false, 0.2), row('c', 0.6, 0.03, false, 0.01)])).toEqual(
      [false, false, false],
    );
    expect(best([base('a', 0.5), row('b', 0.7, 0.03)])).toEqual([false, false]);
  });

  test('is the baseline where all others are significantly worse', () => {
    expect(best([base('a', 0.7), row('b', 0.4, 0.03, false, 0.01)])).toEqual([true, false]);
    expect(best([base('a', 0.7), row('b', 0.4, 0.03, false, 0.01), row('c', 0.6, 0.03, false, 0.3)])).toEqual(
      [false, false, false],
    );
  });

  test('is nothing that must not be called so, such as a small set that does not cover', () => {
    const rows = [base('a', 0.5), row('b', 0.7, 0.03, false, 0.01)];
    const barred = rows.map((one) => ({ ...one, cells: one.cells.map((cell) => ({ ...cell, void: true })) }));
    const table = tableOf(head, [percent, loss], barred, 0.05);
    expect(table.rows.map(({ cells }) => [cells[0]!.best, cells[0]!.mark])).toEqual([
      [false, null],
      [false, null],
    ]);
  });

  test('is not said of a table whose differences are not from the baseline', () => {
    const rows = [base('a', 0.5), row('b', 0.7, 0.03, false, 0.01)];
    const table = tableOf({ ...head, against: 'itself' }, [percent, loss], rows, 0.05);
    expect(table.rows.map(({ cells }) => cells[0]!.best)).toEqual([false, false]);
  });

  test('is looked for in each block by itself', () => {
    const rows = [
      base('a', 0.6),
      row('b', 0.4, 0.03, false, 0.01),
      base('a', 0.2),
      row('b', 0.6, 0.03, false, 0.01),
    ];
    const table = tableOf(head, [percent, loss], rows, 0.05);
    expect(table.rows.map(({ cells }) => cells[0]!.best)).toEqual([true, false, false, true]);
  });
});

test('marks only corrected p-values below alpha', () => {
  const rows = [
    row('a', 0.5, 0.03, true),
    row('b', 0.6, 0.03, false, 0.049),
    row('c', 0.4, 0.03, false, 0.051),
  ];
  const table = tableOf(head, [percent, loss], [...rows, row('d', 0.4, 0.03, false, 0.01)], 0.05);
  expect(table.rows.map(({ cells }) => cells[0]!.mark)).toEqual([null, 'better', null, 'worse']);
});

const table = tableOf(
  head,
  [percent, loss],
  [row('a|b', 0.5, 0.03, true), row('c', 0.6, 0.03, false, 0.01)],
  0.05,
);

test('Markdown', () => {
  expect(tableMarkdown(table)).toBe(`## a\\_b

5 % of $x$.

| Network | Method | Top-1 (%) ↑ | Loss NLL (nats) ↓ |
| --- | --- | ---: | ---: |
| net | a\\|b | 50.0 [47.0, 53.0] | 1.235 |
|  | c | **60.0** [57.0, 63.0] ✓ | – |

- p &lt; 0.05
`);
});

test('in a terminal, columns that do not fit stand below', () => {
  expect(tableText(table, 80)).toBe(`a_b

Network  Method  Top-1 (%) ↑  Loss NLL (nats) ↓
net      a|b          50.0              1.235
         c           *60.0 ✓                  –
`);
  expect(tableText(table, 40).split('\n\n')).toHaveLength(3);
});

test('LaTeX', () => {
  expect(tableLatex(table)).toContain(`\\begin{tabular}{llrr}
\\toprule
 &  & \\multicolumn{1}{c}{} & \\multicolumn{1}{c}{Loss} \\\\
\\cmidrule(lr){4-4}
Network & Method & Top-1 (\\%) $\\uparrow$ & NLL (nats) $\\downarrow$ \\\\
\\midrule
net & a\\textbar{}b & 50.0 {\\tiny [47.0, 53.0]} & 1.235 \\\\
 & c & \\textbf{60.0}$^{+}$ {\\tiny [57.0, 63.0]} & -- \\\\
\\bottomrule`);
  expect(tableLatex(table)).toContain('\\caption{a\\_b. 5 \\% of \\$x\\$.}');
});

test('CSV holds values as they are, and leaves out what is nowhere filled in', () => {
  expect(tableCsv(table).split(/\r?\n/)).toEqual([
    'network,method,top1,top1_low,top1_high,top1_p_holm,nll',
    'net,a|b,0.5,0.47,0.53,,1.23456',
    'net,c,0.6,0.57,0.63,0.01,',
    '',
  ]);
});

test.each([
  [
    'R&D_50% #1 {x} $5 ~ ^ \\',
    'R\\&D\\_50\\% \\#1 \\{x\\} \\$5 \\textasciitilde{} \\textasciicircum{} \\textbackslash{}',
  ],
  ['a\n\\end{table}', 'a \\textbackslash{}end\\{table\\}'],
  ['<p> ≥ −1', '\\textless{}p\\textgreater{} $\\geq$ $-$1'],
  ['Schlüsselbein', 'Schlüsselbein'],
])('LaTeX text %j', (text, escaped) => {
  expect(escapeLatex(text)).toBe(escaped);
});
