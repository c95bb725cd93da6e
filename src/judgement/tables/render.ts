import { csvLine } from '../../data/index.ts';
import { betterArrow } from '../../figures/index.ts';
import { escapeMarkdown, markdownTable } from './markdown.ts';
import {
  columnBlocks,
  columnHead,
  isTurned,
  shownValue,
  stubsShown,
  type Table,
  type TableCell,
  type TableColumn,
} from './table.ts';

const ABSENT = '–';
const SIGNS = { better: '✓', worse: '✗', differs: '≠' } as const;

/** Columns that fit a page side by side. */
const ACROSS = 8;

/** GitHub Markdown: value with its interval, bold where best, ✓ or ✗ where significantly better or worse. */
export function tableMarkdown(table: Table): string {
  const cells = table.rows.map(({ cells }) => cells.map((cell, c) => markdownCell(table.columns[c]!, cell)));
  const stubs = table.rows.map((_, r) => stubsShown(table, r).map(escapeMarkdown));
  const heads = table.columns.map((column) => escapeMarkdown(fullHead(column)));
  const body = isTurned(table)
    ? [
        markdownTable(
          ['', ...stubs.map((own) => own.at(-1)!)],
          heads.map((head, c) => [head, ...cells.map((row) => row[c]!)]),
          1,
        ),
      ]
    : columnBlocks(table.columns, ACROSS).map((places) =>
        markdownTable(
          [...table.stubs.map(escapeMarkdown), ...places.map((c) => heads[c]!)],
          cells.map((row, r) => [...stubs[r]!, ...places.map((c) => row[c]!)]),
          table.stubs.length,
        ),
      );
  const parts = [
    `## ${escapeMarkdown(table.title)}`,
    escapeMarkdown(table.caption),
    ...body,
    table.notes.map((note) => `- ${escapeMarkdown(note)}`).join('\n'),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function markdownCell(column: TableColumn, cell: TableCell): string {
  if (cell.value === null) return ABSENT;
  const value = shownValue(column, cell.value).replace('-', '−');
  const mark = cell.mark === null ? '' : ` ${SIGNS[cell.mark]}`;
  return `${cell.best ? `**${value}**` : value}${interval(column, cell, ' [', ', ', ']').replaceAll('-', '−')}${mark}`;
}

/**
 * A LaTeX table for a paper: booktabs rules (`\usepackage{booktabs}`), bold where best, a raised + or − where
 * significantly better or worse than the baseline, intervals small. All text is escaped.
 */
export function tableLatex(table: Table): string {
  const { columns } = table;
  const lines = [
    '% \\usepackage{booktabs}',
    '\\begin{table}',
    '\\centering',
    `\\caption{${[`${table.title}.`, table.caption].map(escapeLatex).join(' ')}}`,
    `\\label{tab:${table.id.replace(/[^\w.-]/g, '-')}}`,
    '\\footnotesize',
    '\\setlength{\\tabcolsep}{4pt}',
    ...columnBlocks(columns, ACROSS).flatMap((places, b) => [
      ...(b === 0 ? [] : ['', '\\smallskip']),
      ...tabular(table, places),
    ]),
    ...(table.notes.length === 0
      ? []
      : ['', '\\smallskip', `{\\scriptsize ${table.notes.map(escapeLatex).join(' ')}\\par}`]),
    '\\end{table}',
  ];
  return `${lines.join('\n')}\n`;
}

function tabular(table: Table, places: readonly number[]): string[] {
  const { stubs } = table;
  const columns = places.map((c) => table.columns[c]!);
  return [
    `\\begin{tabular}{${'l'.repeat(stubs.length)}${'r'.repeat(columns.length)}}`,
    '\\toprule',
    ...groupHeads(stubs, columns),
    `${[...stubs.map(escapeLatex), ...columns.map((column) => escapeLatex([columnHead(column), arrowOf(column)].join(' ').trim()))].join(' & ')} \\\\`,
    '\\midrule',
    ...table.rows.flatMap((row, r) => [
      ...(row.block && r > 0 ? ['\\midrule'] : []),
      `${[
        ...stubsShown(table, r).map(escapeLatex),
        ...places.map((c) => latexCell(table.columns[c]!, row.cells[c]!)),
      ].join(' & ')} \\\\`,
    ]),
    '\\bottomrule',
    '\\end{tabular}',
  ];
}

function latexCell(column: TableColumn, cell: TableCell): string {
  if (cell.value === null) return '--';
  const number = (text: string) => (text.startsWith('-') ? `$-$${text.slice(1)}` : text);
  const value = number(shownValue(column, cell.value));
  const mark =
    cell.mark === null ? '' : { better: '$^{+}$', worse: '$^{-}$', differs: '$^{\\ne}$' }[cell.mark];
  const range = interval(column, cell, ' {\\tiny [', ', ', ']}').replaceAll('-', '$-$');
  return `${cell.best ? `\\textbf{${value}}` : value}${mark}${range}`;
}

function groupHeads(stubs: readonly string[], columns: readonly TableColumn[]): string[] {
  if (columns.every((column) => column.group === undefined)) return [];
  const heads: string[] = [];
  const rules: string[] = [];
  for (let from = 0; from < columns.length; ) {
    const { group } = columns[from]!;
    let to = from + 1;
    while (to < columns.length && columns[to]!.group === group) to++;
    heads.push(`\\multicolumn{${to - from}}{c}{${escapeLatex(group ?? '')}}`);
    if (group !== undefined) rules.push(`\\cmidrule(lr){${stubs.length + from + 1}-${stubs.length + to}}`);
    from = to;
  }
  return [`${' & '.repeat(stubs.length)}${heads.join(' & ')} \\\\`, rules.join(' ')];
}

/**
 * For a terminal: columns in line, `*` where best; few methods stand side by side with their intervals.
 * @param width of the terminal
 */
export function tableText(table: Table, width = 100): string {
  const few = isTurned(table);
  const cells = table.rows.map(({ cells }) => cells.map((cell, c) => textCell(table.columns[c]!, cell, few)));
  const heads = table.columns.map(fullHead);
  const stubs = table.rows.map((_, r) => stubsShown(table, r));
  const rows = few
    ? [
        ['', ...stubs.map((own) => own.at(-1)!)],
        ...heads.map((head, c) => [head, ...cells.map((row) => row[c]!)]),
      ]
    : [[...table.stubs, ...heads], ...cells.map((row, r) => [...stubs[r]!, ...row])];
  const left = few ? 1 : table.stubs.length;
  const length = (text: string) => [...text].length;
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => length(row[c]!))));
  const padded = (text: string, c: number) => {
    const space = ' '.repeat(widths[c]! - length(text));
    return c < left || few ? text + space : space + text;
  };
  const parts = columnsThatFit(widths, left, width).map((columns) =>
    rows
      .map((row) =>
        columns
          .map((c) => padded(row[c]!, c))
          .join('  ')
          .trimEnd(),
      )
      .join('\n'),
  );
  return `${[table.title, ...parts].join('\n\n')}\n`;
}

/** As many figures side by side as fit, at least one, each time with the columns that name the rows. */
function columnsThatFit(widths: readonly number[], left: number, width: number): number[][] {
  const stubs = widths.slice(0, left).map((_, c) => c);
  const before = stubs.reduce((sum, c) => sum + widths[c]! + 2, 0);
  const blocks: number[][] = [];
  let used = Number.POSITIVE_INFINITY;
  for (let c = left; c < widths.length; c++) {
    if (used + widths[c]! > width) {
      blocks.push([...stubs]);
      used = before;
    }
    blocks.at(-1)!.push(c);
    used += widths[c]! + 2;
  }
  return blocks;
}

function textCell(column: TableColumn, cell: TableCell, whole: boolean): string {
  if (cell.value === null) return ABSENT;
  const mark = cell.mark === null ? ' ' : SIGNS[cell.mark];
  const range = whole ? interval(column, cell, ' [', ', ', ']') : '';
  const best = cell.best ? '*' : whole ? ' ' : '';
  return `${best}${shownValue(column, cell.value)}${range}`.replaceAll('-', '−') + ` ${mark}`;
}

/** One line a row; fractions, losses and p-values as they are, each figure with its interval. */
export function tableCsv(table: Table): string {
  const heads = table.columns.flatMap(({ id }) => [id, `${id}_low`, `${id}_high`, `${id}_p_holm`]);
  // What is nowhere filled in is left out.
  const rows = table.rows.map(({ cells }) =>
    cells.flatMap(({ value, low, high, p }) => [value, low, high, p]),
  );
  const used = heads.map((_, c) => c % 4 === 0 || rows.some((row) => row[c] !== null));
  const kept = <T>(values: readonly T[]) => values.filter((_, c) => used[c]);
  const lines = [
    csvLine([...table.stubs.map((stub) => stub.toLowerCase().replace(/\W+/g, '_')), ...kept(heads)]),
    ...rows.map((row, r) => csvLine([...table.rows[r]!.stubs, ...kept(row).map((value) => value ?? '')])),
  ];
  return lines.join('');
}

/** The table's data as they are. */
export function tableJson(table: Table): string {
  return `${JSON.stringify(table, null, 1)}\n`;
}

function interval(
  column: TableColumn,
  cell: TableCell,
  open: string,
  between: string,
  close: string,
): string {
  if (cell.low === null || cell.high === null) return '';
  return `${open}${shownValue(column, cell.low)}${between}${shownValue(column, cell.high)}${close}`;
}

function fullHead(column: TableColumn): string {
  return [column.group, columnHead(column), arrowOf(column)].filter(Boolean).join(' ');
}

function arrowOf({ better }: TableColumn): string {
  return better === 'none' ? '' : betterArrow({ better });
}

const LATEX: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}',
  '{': '\\{',
  '}': '\\}',
  $: '\\$',
  '&': '\\&',
  '#': '\\#',
  _: '\\_',
  '%': '\\%',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
  '<': '\\textless{}',
  '>': '\\textgreater{}',
  '|': '\\textbar{}',
  '"': "''",
  '–': '--',
  '−': '$-$',
  '×': '$\\times$',
  '→': '$\\rightarrow$',
  '↑': '$\\uparrow$',
  '↓': '$\\downarrow$',
  '≤': '$\\leq$',
  '≥': '$\\geq$',
  σ: '$\\sigma$',
  α: '$\\alpha$',
  ε: '$\\varepsilon$',
  δ: '$\\delta$',
  ℓ: '$\\ell$',
  '✓': '$^{+}$',
  '≠': '$^{\\ne}$',
  '✗': '$^{-}$',
  '’': "'",
  '…': '\\ldots{}',
};

/** Text as it is, not as commands: names of classes and sets may hold anything. */
export function escapeLatex(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/./gsu, (character) => (Object.hasOwn(LATEX, character) ? LATEX[character]! : character));
}
