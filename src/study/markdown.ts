import {
  bestOf,
  betterArrow,
  classCells,
  estimateOf,
  figureHead,
  formatCount,
  formatFigure,
  formatInterval,
  methodName,
  plural,
  shownFigures,
} from './figures.ts';
import { capital, list, notes, readings, subject } from './reading.ts';
import type { StudyResult } from './result.ts';
import { legend, markOf } from './table.ts';

/** A comparison as GitHub Markdown: the same figures, marks, sentences and notes as in the terminal, and the classes. */
export function renderMarkdown(result: StudyResult): string {
  const names = result.methods.map((m) => methodName(result, m));
  const sections = [
    `# ${escapeMarkdown(`${result.data.name}: ${list(names)}`)}`,
    `${escapeMarkdown(capital(subject(result)))}.`,
    fence(result.command),
    '## Figures',
    figureTable(result, names),
    escapeMarkdown(legend(result).replace('* best', 'bold: best')),
    '## Reading',
    ...readings(result).map((reading) => {
      const items = [
        ...reading.better.map((c) => `- ✓ ${escapeMarkdown(c.text)}`),
        ...reading.worse.map((c) => `- ✗ ${escapeMarkdown(c.text)}`),
        ...reading.undecided.map((c) => `- ${escapeMarkdown(c.text)}`),
      ];
      const sentences = [reading.confidence, ...(reading.verdict === undefined ? [] : [reading.verdict])];
      const head = `**${escapeMarkdown(methodName(result, reading.method))}.** ${escapeMarkdown(sentences.join(' '))}`;
      return items.length === 0 ? head : `${head}\n\n${items.join('\n')}`;
    }),
    '## Classes',
    classTable(result, names),
    '## How',
    notes(result)
      .map((line) => `- ${escapeMarkdown(line)}`)
      .join('\n'),
    settingsTable(result),
  ];
  return `${sections.join('\n\n')}\n`;
}

function figureTable(result: StudyResult, names: readonly string[]): string {
  const rows = shownFigures(result).map((figure) => {
    const best = bestOf(result, figure);
    const cells = result.methods.map((method) => {
      const estimate = estimateOf(method, figure);
      const value = formatFigure(figure, estimate.value);
      const interval = formatInterval(figure, estimate);
      const mark = markOf(result, figure, method);
      return [
        best.has(method) ? `**${value}**` : value,
        ...(interval === undefined ? [] : [`[${interval}]`]),
        ...(mark === '' ? [] : [mark]),
      ].join(' ');
    });
    return [`${figureHead(figure)} ${betterArrow(figure)}`, ...cells];
  });
  return markdownTable(['', ...names.map(escapeMarkdown)], rows);
}

function classTable(result: StudyResult, names: readonly string[]): string {
  const head = [
    'Class',
    'Images',
    ...names.flatMap((n) =>
      ['recall (%)', 'AUROC', 'ECE (%)'].map((what) => `${escapeMarkdown(n)}: ${what}`),
    ),
  ];
  const rows = result.data.classes.map((name, k) => [
    escapeMarkdown(name),
    formatCount(result.data.support[k]!),
    ...result.methods.flatMap((m) => classCells(m, k)),
  ]);
  return markdownTable(head, rows);
}

function settingsTable(result: StudyResult): string {
  const rows = [
    ...result.settings,
    ...result.methods.map(
      (m) =>
        [
          methodName(result, m),
          `${m.objective}, ${m.runs.length === 1 ? 'seed' : 'seeds'} ${m.runs.map((r) => r.seed).join(', ')}, ${plural(
            Math.round(m.runs.reduce((sum, r) => sum + r.seconds, 0)),
            'second',
          )} of training`,
        ] as const,
    ),
    ...Object.entries(result.software),
    ['Finished', result.finished] as const,
  ];
  return markdownTable(
    ['Setting', 'Value'],
    rows.map(([key, value]) => [escapeMarkdown(key), escapeMarkdown(value)]),
    2,
  );
}

/** The first `left` columns left, the others right. Cells are already escaped. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  left = 1,
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, i) => (i >= left ? '---:' : '---'));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

/** Text as it is, not as markup: class and folder names may hold anything. */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/[\r\n]+/g, ' ')
    .replace(/[\\`*_[\]|#~]/g, '\\$&')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;');
}

/** A code block that holds any text: its fence is longer than any run of backticks inside. */
function fence(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((m) => m[0].length));
  const marks = '`'.repeat(longest + 1);
  return `${marks}sh\n${text}\n${marks}`;
}
