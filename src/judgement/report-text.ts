import { wrap } from './format.ts';
import { type Report, reportTables, type ShownCell, showCell } from './report.ts';
import { howNotes, overallRemarks } from './report-reading.ts';
import { escapeMarkdown, fence, markdownTable } from './tables/markdown.ts';
import { tableMarkdown, tableText } from './tables/render.ts';
import type { Remark } from './view.ts';

/** A report as GitHub Markdown: the same sentences and numbers as the page, and every table. */
export function reportMarkdown(report: Report): string {
  const cells = report.cells.map((cell) => showCell(report, cell, 'file'));
  const { view } = cells[0]!;
  const table = (rows: readonly (readonly string[])[]) =>
    markdownTable(
      ['', ''],
      rows.map((row) => row.map(escapeMarkdown)),
      2,
    );
  const sections = [
    `# ${escapeMarkdown(report.title)}`,
    ...report.missing.map((text) => `**Not whole:** ${escapeMarkdown(text)}`),
    table(report.facts),
    fence(report.command),
    '## What it shows',
    ...readingOf(report, cells).map((line) =>
      'head' in line ? `### ${escapeMarkdown(line.head)}` : items(line.remarks),
    ),
    ...reportTables(report).map((one) => tableMarkdown(one).trimEnd()),
    '## How',
    howNotes(report, cells)
      .map((line) => `- ${escapeMarkdown(line)}`)
      .join('\n'),
    table([
      ...report.methods.map(({ id, about }) => [view.name(id), about]),
      ...Object.entries(report.software),
      ['Finished', report.finished],
    ]),
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

type Line = { readonly head: string } | { readonly remarks: readonly Remark[] };

/** Overall remarks, then each cell's questions and answers. */
function readingOf(report: Report, cells: readonly ShownCell[]): Line[] {
  return [
    { remarks: overallRemarks(report, cells) },
    ...cells.flatMap(({ view, answers }) => [
      ...(cells.length > 1 ? [{ head: view.subject }] : []),
      ...answers.flatMap(({ question, remarks }) => [{ head: question }, { remarks }]),
    ]),
  ];
}

const SIGNS = { good: '✓ ', bad: '✗ ', plain: '' } as const;

function items(remarks: readonly Remark[]): string {
  return remarks.map(({ kind, text }) => `- ${SIGNS[kind]}${escapeMarkdown(text)}`).join('\n');
}

export interface TextOptions {
  /** ANSI colours. Default false. */
  readonly color?: boolean;
  /** Columns of the terminal. Default 100. */
  readonly width?: number;
}

/**
 * A report for the terminal: the table of figures of every set (`*` the best, `✓` and `✗` significantly better and worse
 * than the baseline), then what it shows and how it was made. Ends with a newline.
 */
export function reportText(report: Report, { color = false, width = 100 }: TextOptions = {}): string {
  const paint = (code: string) => (text: string) =>
    color && text !== '' ? `\x1b[${code}m${text}\x1b[0m` : text;
  const [bold, dim, green, red] = ['1', '2', '32', '31'].map(paint) as [
    (text: string) => string,
    (text: string) => string,
    (text: string) => string,
    (text: string) => string,
  ];
  const marks = (line: string) => line.replaceAll('✓', green('✓')).replaceAll('✗', red('✗'));
  const cells = report.cells.map((cell) => showCell(report, cell, 'file'));
  const { view } = cells[0]!;
  const several = cells.length > 1;
  const tables = reportTables(report).filter(
    ({ id }) => /^(main|calibration)(-|$)/.test(id) && (several || id.startsWith('main')),
  );
  const remark = ({ kind, text }: Remark) =>
    wrap(text, width - 4, '').map(
      (line, i) => `${i === 0 ? marks(`  ${SIGNS[kind].trim() || '·'}`) : '   '} ${line}`,
    );
  const reading = several
    ? overallRemarks(report, cells).flatMap(remark)
    : readingOf(report, cells).flatMap((line) =>
        'head' in line ? ['', ...wrap(line.head, width).map(bold)] : line.remarks.flatMap(remark),
      );
  const legend = [`[ ] ${view.level} interval`, '* best', view.signNote]
    .filter((text) => text !== '')
    .join(' · ');
  return `${[
    ...wrap(report.title, width).map(bold),
    ...report.facts.flatMap(([key, value]) => wrap(`${key}: ${value}`, width, '  ').map(dim)),
    '',
    ...tables.map((table) => marks(tableText(table, width))),
    ...wrap(legend, width).map(dim),
    ...reading,
    '',
    ...howNotes(report, cells).flatMap((line) =>
      wrap(line, width - 2, '  ').map((one, i) => dim(i === 0 ? `· ${one}` : one)),
    ),
  ]
    .map((line) => line.trimEnd())
    .join('\n')}\n`;
}
