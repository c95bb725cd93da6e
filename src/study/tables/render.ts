import { csvLine } from '../../data/index.ts';
import { escapeMarkdown, markdownTable } from '../markdown.ts';
import { type ReportTable, shownValue, type TableCell, type TableColumn } from './table.ts';

const ABSENT = '–';

/** GitHub Markdown: value with its interval, bold where best, ✓ or ✗ where significantly better or worse. */
export function tableMarkdown(table: ReportTable): string {
  const heads = [
    ...table.stubs,
    ...table.columns.map((column) =>
      [column.group, headOf(column), arrowOf(column)].filter(Boolean).join(' '),
    ),
  ].map(escapeMarkdown);
  const rows = table.rows.map((row, r) => [
    ...stubsShown(table, r).map(escapeMarkdown),
    ...row.cells.map((cell, c) => markdownCell(table.columns[c]!, cell)),
  ]);
  const parts = [
    `## ${escapeMarkdown(table.title)}`,
    escapeMarkdown(table.caption),
    markdownTable(heads, rows, table.stubs.length),
    table.notes.map((note) => `- ${escapeMarkdown(note)}`).join('\n'),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function markdownCell(column: TableColumn, cell: TableCell): string {
  if (cell.value === null) return ABSENT;
  const value = shownValue(column, cell.value).replace('-', '−');
  const mark = cell.mark === null ? '' : cell.mark === 'better' ? ' ✓' : ' ✗';
  return `${cell.best ? `**${value}**` : value}${interval(column, cell, ' [', ', ', ']').replaceAll('-', '−')}${mark}`;
}

/**
 * A LaTeX table for a paper: booktabs rules (`\usepackage{booktabs}`), bold where best, a raised + or − where
 * significantly better or worse than the baseline, intervals small. All text is escaped.
 */
export function tableLatex(table: ReportTable): string {
  const { stubs, columns } = table;
  const lines = [
    '% \\usepackage{booktabs}',
    '\\begin{table}',
    '\\centering',
    `\\caption{${[`${table.title}.`, table.caption].map(escapeLatex).join(' ')}}`,
    `\\label{tab:${table.id.replace(/[^\w.-]/g, '-')}}`,
    '\\footnotesize',
    '\\setlength{\\tabcolsep}{4pt}',
    `\\begin{tabular}{${'l'.repeat(stubs.length)}${'r'.repeat(columns.length)}}`,
    '\\toprule',
    ...groupHeads(table),
    `${[...stubs.map(escapeLatex), ...columns.map((column) => `${escapeLatex(headOf(column))}${latexArrow(column)}`)].join(' & ')} \\\\`,
    '\\midrule',
    ...table.rows.flatMap((row, r) => [
      ...(row.block && r > 0 ? ['\\midrule'] : []),
      `${[
        ...stubsShown(table, r).map(escapeLatex),
        ...row.cells.map((cell, c) => latexCell(columns[c]!, cell)),
      ].join(' & ')} \\\\`,
    ]),
    '\\bottomrule',
    '\\end{tabular}',
    ...(table.notes.length === 0
      ? []
      : ['', '\\smallskip', `{\\scriptsize ${table.notes.map(escapeLatex).join(' ')}\\par}`]),
    '\\end{table}',
  ];
  return `${lines.join('\n')}\n`;
}

function latexCell(column: TableColumn, cell: TableCell): string {
  if (cell.value === null) return '--';
  const number = (text: string) => (text.startsWith('-') ? `$-$${text.slice(1)}` : text);
  const value = number(shownValue(column, cell.value));
  const mark = cell.mark === null ? '' : cell.mark === 'better' ? '$^{+}$' : '$^{-}$';
  const range = interval(column, cell, ' {\\tiny [', ', ', ']}').replaceAll('-', '$-$');
  return `${cell.best ? `\\textbf{${value}}` : value}${mark}${range}`;
}

function groupHeads({ stubs, columns }: ReportTable): string[] {
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

/** For a terminal: columns in line, values without their intervals, `*` where best. @param width of the terminal */
export function tableText(table: ReportTable, width = 100): string {
  const heads = [
    ...table.stubs,
    ...table.columns.map((column) =>
      [column.group, headOf(column), arrowOf(column)].filter(Boolean).join(' '),
    ),
  ];
  const rows = table.rows.map((row, r) => [
    ...stubsShown(table, r),
    ...row.cells.map((cell, c) => textCell(table.columns[c]!, cell)),
  ]);
  const left = table.stubs.length;
  const widths = heads.map((_, c) => Math.max(...[heads, ...rows].map((row) => row[c]!.length)));
  const line = (cells: readonly string[], columns: readonly number[]) =>
    columns
      .map((c) => (c < left ? cells[c]!.padEnd(widths[c]!) : cells[c]!.padStart(widths[c]!)))
      .join('  ')
      .trimEnd();
  const parts = [`${table.title}`];
  for (const columns of columnBlocks(widths, left, width))
    parts.push([heads, ...rows].map((row) => line(row, columns)).join('\n'));
  return `${parts.join('\n\n')}\n`;
}

/** As many figures side by side as fit, at least one, each time with the columns that name the rows. */
function columnBlocks(widths: readonly number[], left: number, width: number): number[][] {
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

function textCell(column: TableColumn, cell: TableCell): string {
  if (cell.value === null) return ABSENT;
  const mark = cell.mark === null ? ' ' : cell.mark === 'better' ? '✓' : '✗';
  return `${cell.best ? '*' : ''}${shownValue(column, cell.value).replace('-', '−')} ${mark}`;
}

/** One line a row; fractions, losses and p-values as they are, each figure with its interval. */
export function tableCsv(table: ReportTable): string {
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
export function tableJson(table: ReportTable): string {
  return `${JSON.stringify(table, null, 1)}\n`;
}

/** A row's names, without those that the row above has already. */
function stubsShown(table: ReportTable, r: number): string[] {
  const { stubs, block } = table.rows[r]!;
  const above = block ? undefined : table.rows[r - 1]?.stubs;
  return stubs.map((stub, s) =>
    s < stubs.length - 1 && above !== undefined && stubs.slice(0, s + 1).every((own, i) => own === above[i])
      ? ''
      : stub,
  );
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

function headOf({ label, unit }: TableColumn): string {
  return unit === '%' || unit === 'nats' ? `${label} (${unit})` : label;
}

function arrowOf({ better }: TableColumn): string {
  return better === 'none' ? '' : better === 'higher' ? '↑' : '↓';
}

function latexArrow({ better }: TableColumn): string {
  return better === 'none' ? '' : better === 'higher' ? ' $\\uparrow$' : ' $\\downarrow$';
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
