import {
  alphaOf,
  baselineOf,
  bestOf,
  betterArrow,
  differenceOf,
  estimateOf,
  figureHead,
  formatFigure,
  formatInterval,
  levelText,
  methodName,
  type ShownFigure,
  shownFigures,
  verdictOf,
} from './figures.ts';
import { capital, notes, readings, subject } from './reading.ts';
import type { StudyMethod, StudyResult } from './result.ts';

export interface TableOptions {
  /** ANSI colours. Default false. */
  readonly color?: boolean;
  /** Columns of the terminal; methods that do not fit side by side go into further tables. Default 100. */
  readonly width?: number;
}

/**
 * A comparison for the terminal: a row for each figure, a column for each method (value, interval, `*` for the best,
 * `✓` or `✗` where it is significantly better or worse than the baseline), then a reading in sentences (ECE, Top-1 and
 * whatever is worse with their numbers) and the notes.
 * Ends with a newline.
 */
export function renderTable(result: StudyResult, options: TableOptions = {}): string {
  const { color = false, width = 100 } = options;
  const paint = painter(color);
  const blocks = [
    ...wrap(capital(subject(result)), width).map(paint.bold),
    '',
    ...tables(result, width, paint),
    ...wrap(legend(result), width).map(paint.dim),
    '',
    ...readingLines(result, width, paint),
    ...notes(result).flatMap((line) =>
      wrap(line, width - 2, '  ').map((l, i) => paint.dim(i === 0 ? `· ${l}` : l)),
    ),
  ];
  return `${blocks.map((line) => line.trimEnd()).join('\n')}\n`;
}

/** What the marks mean, in one line. */
export function legend(result: StudyResult): string {
  const parts = [`[ ] ${levelText(result)} interval`, '↑ more is better', '↓ less is better'];
  if (result.methods.length > 1) parts.push('* best');
  const baseline = baselineOf(result);
  if (result.pairs.length > 0 && baseline !== undefined) {
    const name = methodName(result, baseline);
    parts.push(`✓ better, ✗ worse than ${name} (p < ${alphaOf(result)}, Holm-corrected)`);
  }
  return parts.join(' · ');
}

/** `✓`, `✗` or nothing: whether a method's figure is significantly better or worse than the baseline's. */
export function markOf(result: StudyResult, figure: ShownFigure, method: StudyMethod): '✓' | '✗' | '' {
  const baseline = baselineOf(result);
  if (baseline === undefined || method === baseline) return '';
  const difference = differenceOf(result, figure, method.objective, baseline.objective);
  const verdict = verdictOf(figure, difference, alphaOf(result));
  return verdict === 'better' ? '✓' : verdict === 'worse' ? '✗' : '';
}

interface Cell {
  readonly value: string;
  readonly interval: string;
  readonly best: boolean;
  readonly mark: '✓' | '✗' | '';
}

function tables(result: StudyResult, width: number, paint: Painter): string[] {
  const figures = shownFigures(result);
  const heads = figures.map((f) => `${figureHead(f)} ${betterArrow(f)}`);
  const headWidth = Math.max(0, ...heads.map(length));
  const columns = result.methods.map((method) => {
    const cells = figures.map((figure): Cell => {
      const estimate = estimateOf(method, figure);
      const interval = formatInterval(figure, estimate);
      return {
        value: formatFigure(figure, estimate.value),
        interval: interval === undefined ? '' : `[${interval}]`,
        best: bestOf(result, figure).has(method),
        mark: markOf(result, figure, method),
      };
    });
    const valueWidth = Math.max(0, ...cells.map((c) => length(c.value)));
    const intervalWidth = Math.max(0, ...cells.map((c) => length(c.interval)));
    const name = methodName(result, method);
    // Best mark, value, space, interval, space, significance mark.
    const cellWidth = Math.max(length(name), valueWidth + intervalWidth + 4);
    return { name, cells, valueWidth, intervalWidth, cellWidth };
  });
  const lines: string[] = [];
  for (const block of blocksOf(columns, width - headWidth)) {
    lines.push(paint.bold([pad('', headWidth), ...block.map((c) => pad(c.name, c.cellWidth))].join('  ')));
    figures.forEach((_, row) => {
      const cells = block.map((column) => {
        const { value, interval, best, mark } = column.cells[row]!;
        const number = (best ? '*' : ' ') + padStart(value, column.valueWidth);
        const text = `${best ? paint.bold(number) : number} ${paint.dim(pad(interval, column.intervalWidth))} ${paint.mark(mark)}`;
        const used = column.valueWidth + column.intervalWidth + 3 + length(mark);
        return text + ' '.repeat(column.cellWidth - used);
      });
      lines.push([pad(heads[row]!, headWidth), ...cells].join('  '));
    });
    lines.push('');
  }
  return lines;
}

/** As many columns side by side as fit, at least one. */
function blocksOf<C extends { readonly cellWidth: number }>(columns: readonly C[], width: number): C[][] {
  const blocks: C[][] = [];
  let used = 0;
  for (const column of columns) {
    const last = blocks.at(-1);
    if (last === undefined || used + column.cellWidth + 2 > width) {
      blocks.push([column]);
      used = column.cellWidth + 2;
    } else {
      last.push(column);
      used += column.cellWidth + 2;
    }
  }
  return blocks;
}

function readingLines(result: StudyResult, width: number, paint: Painter): string[] {
  return readings(result).flatMap((reading) => {
    const { method, confidence, verdict, better, worse, undecided } = reading;
    const text = (sentence: string) => wrap(sentence, width - 2).map((line) => `  ${line}`);
    const item = (mark: '✓' | '✗' | '', clause: string) =>
      wrap(clause, width - 6).map((line, i) => `  ${i === 0 ? paint.mark(mark, '·') : ' '} ${line}`);
    return [
      paint.bold(methodName(result, method)),
      ...text(confidence),
      ...(verdict === undefined ? [] : text(verdict)),
      ...better.filter((c) => c.main).flatMap((c) => item('✓', c.text)),
      ...worse.flatMap((c) => item('✗', c.text)),
      ...undecided.filter((c) => c.main).flatMap((c) => item('', c.text)),
      '',
    ];
  });
}

interface Painter {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  /** The mark in its colour; `none` where there is no mark. */
  readonly mark: (mark: '✓' | '✗' | '', none?: string) => string;
}

function painter(color: boolean): Painter {
  const wrapIn = (code: string) => (text: string) =>
    color && text !== '' ? `\x1b[${code}m${text}\x1b[0m` : text;
  const [bold, dim, green, red] = ['1', '2', '32', '31'].map(wrapIn) as [
    Painter['bold'],
    Painter['bold'],
    Painter['bold'],
    Painter['bold'],
  ];
  return {
    bold,
    dim,
    mark: (mark, none = '') => (mark === '✓' ? green(mark) : mark === '✗' ? red(mark) : none),
  };
}

/** Lines of at most `width` characters; a longer word stands alone. */
function wrap(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const next = line === '' ? (lines.length > 0 ? indent : '') + word : `${line} ${word}`;
    if (length(next) > width && line !== '') {
      lines.push(line);
      line = indent + word;
    } else {
      line = next;
    }
  }
  lines.push(line);
  return lines;
}

function length(text: string): number {
  return [...text].length;
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - length(text)));
}

function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - length(text))) + text;
}
