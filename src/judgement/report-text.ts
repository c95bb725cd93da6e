import { wrap } from './format.ts';
import { type Report, reportTables, type ShownCell, showCell } from './report.ts';
import { allDifferences, howNotes, overallRemarks, verdictOfReport } from './report-reading.ts';
import { numbersTable, type SummaryTable, sidedLines, summaryNote, summaryTable } from './summary.ts';
import { escapeMarkdown, fence, markdownTable } from './tables/markdown.ts';
import { tableMarkdown, tableText } from './tables/render.ts';
import { cautions } from './verdict/index.ts';
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
    ...verdictMarkdown(cells),
    table(report.facts),
    fence(report.command),
    '## What differs',
    differencesMarkdown(cells),
    '## In words',
    ...readingOf(report, cells).map((line) =>
      'head' in line ? `### ${escapeMarkdown(line.head)}` : items(line.remarks),
    ),
    ...cells.map((shown) => tableMarkdown(numbersTable(shown.view)).trimEnd()),
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

/** The verdict, what must be known with it, and the small table of every cell. */
function verdictMarkdown(cells: readonly ShownCell[]): string[] {
  const { sentence, because, advice } = verdictOfReport(cells);
  return [
    `**${escapeMarkdown(sentence)}**`,
    `Why: ${escapeMarkdown(because)}`,
    `What to do: ${escapeMarkdown(advice)}`,
    ...cells.flatMap((shown) => {
      const { heads, rows } = summaryTable(shown.view, shown.facts);
      return [
        ...(cells.length > 1
          ? [`### ${escapeMarkdown(shown.view.subject)}`, escapeMarkdown(shown.verdict.sentence)]
          : []),
        ...cautions(shown.facts).map((text) => `**Mind:** ${escapeMarkdown(text)}`),
        markdownTable(
          heads,
          rows.map(({ name, cells: values, small, word }) => [
            escapeMarkdown(name),
            ...values.map((text, c) => escapeMarkdown([text, small[c]].filter(Boolean).join(' '))),
            escapeMarkdown(word),
          ]),
          1,
        ),
      ];
    }),
    escapeMarkdown(summaryNote(cells[0]!.facts)),
  ];
}

function differencesMarkdown(cells: readonly ShownCell[]): string {
  const rows = allDifferences(cells);
  if (rows.length === 0) return 'Nothing differs significantly, in any figure of any part below.';
  return markdownTable(
    ['Where', '✓ better', '✗ worse', '≠ different'],
    rows.map(({ where, against, better, worse, differs }) => [
      escapeMarkdown(`${where}, against ${against}`),
      ...[better, worse, differs].map((sided) => sidedLines(sided).map(escapeMarkdown).join('<br>')),
    ]),
    4,
  );
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
  /** Columns of the terminal. Default 80. */
  readonly width?: number;
  /** `verdict`: nothing but that. Default `all`. */
  readonly what?: 'all' | 'verdict';
}

/**
 * A report for the terminal: the table of figures of every set (`*` the best, `✓` and `✗` significantly better and worse
 * than the baseline), everything that differs, how it was made, and at the end, where the eye is, the verdict with its
 * small table. Ends with a newline.
 */
export function reportText(
  report: Report,
  { color = false, width = 80, what = 'all' }: TextOptions = {},
): string {
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
  const differences = allDifferences(cells).flatMap(({ where, against, better, worse, differs }) =>
    [
      ['✓', 'better than', better] as const,
      ['✗', 'worse than', worse] as const,
      ['≠', 'different from', differs] as const,
    ].flatMap(([sign, word, sided]) =>
      sidedLines(sided).flatMap((text) =>
        wrap(`${text} (${where}: ${word} ${against})`, width - 4).map((line, l) =>
          l === 0 ? marks(`  ${sign} ${line}`) : `    ${line}`,
        ),
      ),
    ),
  );
  const legend = [`[ ] ${view.level} interval`, '* best, where a test supports it', view.signNote]
    .filter((text) => text !== '')
    .join(' · ');
  const everything = [
    ...wrap(report.title, width).map(bold),
    ...report.facts.flatMap(([key, value]) => wrap(`${key}: ${value}`, width, '  ').map(dim)),
    '',
    ...tables.map((table) => marks(tableText(table, width))),
    ...wrap(legend, width).map(dim),
    '',
    bold('What differs'),
    ...(differences.length === 0 ? ['  Nothing differs significantly.'] : differences),
    '',
    ...overallRemarks(report, cells).flatMap(({ text }) => wrap(text, width)),
    ...howNotes(report, cells).flatMap((line) =>
      wrap(line, width - 2, '  ').map((one, i) => dim(i === 0 ? `· ${one}` : one)),
    ),
    '',
  ];
  const { sentence, because, advice } = verdictOfReport(cells);
  const verdict = [
    ...report.missing.flatMap((text) => wrap(`Not whole: ${text}`, width).map(red)),
    ...wrap(sentence, width).map(bold),
    ...wrap(`Why: ${because}`, width, '  '),
    ...wrap(`What to do: ${advice}`, width, '  '),
    ...cells.flatMap(({ view: own, facts }) => [
      '',
      ...(several ? wrap(own.subject, width).map(bold) : []),
      ...cautions(facts).flatMap((text) => wrap(`! ${text}`, width, '  ').map(red)),
      ...summaryText(summaryTable(own, facts), width).map(marks),
    ]),
  ];
  return `${[...(what === 'all' ? everything : []), ...verdict].map((line) => line.trimEnd()).join('\n')}\n`;
}

/** The small table in lines; where the terminal is narrow, a block of lines for each method. */
function summaryText({ heads, rows }: SummaryTable, width: number): string[] {
  // Where the terminal is narrow, temperatures go first, then intervals.
  const forms = [
    (_: string, c: number, small: readonly string[]) => small[c] ?? '',
    (text: string, c: number, small: readonly string[]) => (text.startsWith('T = ') ? '' : (small[c] ?? '')),
    () => '',
  ].map((second) =>
    rows.map(({ name, cells, small, word }) => [
      name,
      ...cells.map((text, c) => [text, second(small[c] ?? '', c, small)].filter(Boolean).join(' ')),
      word,
    ]),
  );
  const widthsOf = (lines: readonly (readonly string[])[]) =>
    heads.map((head, c) => Math.max(...[head, ...lines.map((line) => line[c]!)].map(lengthOf)));
  const totalOf = (lines: readonly (readonly string[])[]) =>
    widthsOf(lines).reduce((sum, w) => sum + w + 2, -2);
  const lines = forms.find((form) => totalOf(form) <= width) ?? forms[0]!;
  const widths = widthsOf(lines);
  const total = totalOf(lines);
  if (total > width)
    return lines.flatMap(([name, ...values]) => [
      name!,
      ...values.flatMap((text, v) => (text === '' ? [] : [`  ${heads[v + 1]}: ${text}`])),
    ]);
  return [heads, ...lines].map((line) =>
    line.map((text, c) => text + ' '.repeat(Math.max(0, widths[c]! - lengthOf(text)))).join('  '),
  );
}

function lengthOf(text: string): number {
  return [...text].length;
}
