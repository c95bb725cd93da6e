import {
  betterArrow,
  type Estimates,
  type Figure,
  figureHead,
  figureNamed,
  formatFigure,
  formatInterval,
  formatP,
  shownFigures,
  verdictOf,
} from '../figures/index.ts';
import { printable } from '../files/index.ts';
import type { JudgeResult } from './judge.ts';

export interface TerminalOptions {
  /** Columns of the terminal. Default 100. */
  readonly width?: number;
  /** ANSI colours. Default false. */
  readonly color?: boolean;
  /** Whether it starts with a sentence for each method. Default true. */
  readonly sentences?: boolean;
}

/** A judgement for the terminal: the verdict, then a table of figures, findings and strata. Ends with a newline. */
export function renderJudgement(result: JudgeResult, options: TerminalOptions = {}): string {
  const { width = 80, color = false, sentences = true } = options;
  const bold = (text: string) => (color ? `\x1b[1m${text}\x1b[0m` : text);
  const dim = (text: string) => (color ? `\x1b[2m${text}\x1b[0m` : text);
  const blocks = [
    sentences ? verdicts(result).flatMap((line) => wrap(line, width).map(bold)) : [],
    figureLines(result, width, bold),
    [dim(legend(result))],
    findingLines(result, width, bold),
    stratumLines(result, width, bold),
    result.notes.flatMap((note) => wrap(`· ${note}`, width, '  ').map(dim)),
  ];
  return `${blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map((line) => line.trimEnd()).join('\n'))
    .join('\n\n')}\n`;
}

/** What the figures say, in a sentence for each method; the baseline by itself, the others against it. */
export function verdicts(result: JudgeResult): string[] {
  const baseline = result.differences[0]?.second ?? result.methods[0]!.name;
  const alone = result.methods.length === 1;
  const own = (name: string) => calibrationSentence(result, name);
  if (alone) return [own(result.methods[0]!.name)];
  return [
    own(baseline),
    ...result.methods.flatMap(({ name }) => {
      if (name === baseline) return [];
      return [againstSentence(result, name, baseline)];
    }),
  ];
}

function calibrationSentence(result: JudgeResult, name: string): string {
  const { summary } = result.methods.find((method) => method.name === name)!;
  const { figures, settings } = summary;
  const { eceDebiased: ece, confidenceGap: gap } = figures;
  const percent = (value: number) => `${(100 * value).toFixed(1)} %`;
  const points = (value: number) => `${(100 * value).toFixed(1)} points`;
  const who = printable(name);
  const level = `${Math.round(100 * settings.level)} %`;
  const over = result.kind === 'findings' ? `, mean over ${result.names.length} findings` : '';
  if (ece?.low === null || ece?.low === undefined)
    return `${who}: calibration error ${ece?.value == null ? 'unknown' : percent(ece.value)}${over}, without an interval.`;
  if (ece.low > 0) {
    const [above, below] =
      result.kind === 'one-of-k'
        ? ['it is over-confident', 'it is under-confident']
        : ['it expects findings too often', 'it expects findings too seldom'];
    const side =
      gap?.low != null && gap.low > 0
        ? `; ${above}, by ${points(gap.value!)} on average`
        : gap?.high != null && gap.high < 0
          ? `; ${below}, by ${points(-gap.value!)} on average`
          : '';
    return `${who} is miscalibrated: its true calibration error is between ${percent(ece.low)} and ${percent(ece.high!)} (${level} interval${over})${side}.`;
  }
  return `${who}: no miscalibration could be shown; its true calibration error is at most ${percent(ece.high!)} (${level} interval${over}, ${count(result.samples)} samples).`;
}

function againstSentence(result: JudgeResult, name: string, baseline: string): string {
  const difference = result.differences.find(({ first, second }) => first === name && second === baseline);
  const other = result.differences.find(({ first, second }) => first === baseline && second === name);
  const turned = difference === undefined;
  const clauses: Record<'better' | 'worse', string[]> = { better: [], worse: [] };
  const even: string[] = [];
  for (const lead of leads(result.kind)) {
    const figure = figureNamed(result.kind, lead);
    const found = (difference ?? other)?.figures[lead];
    if (found === undefined) continue;
    const one = turned && found.value !== null ? { ...found, value: -found.value } : found;
    const verdict = verdictOf(figure, one, alphaOf(result));
    const value = (method: string) => {
      const { figures } = result.methods.find((m) => m.name === method)!.summary;
      return `${formatFigure(figure, figures[lead]!.value)}${figure.unit === '%' ? ' %' : ''}`;
    };
    if (verdict === 'better' || verdict === 'worse') {
      const p = formatP(one.adjusted!, alphaOf(result));
      clauses[verdict].push(
        `${figure.label} ${value(name)} against ${value(baseline)}, p ${p.startsWith('<') ? p : `= ${p}`}`,
      );
    } else even.push(figure.label);
  }
  const parts = [
    ...(clauses.better.length > 0 ? [`better in ${clauses.better.join(', ')}`] : []),
    ...(clauses.worse.length > 0 ? [`worse in ${clauses.worse.join(', ')}`] : []),
    ...(even.length > 0 ? [`no difference shown in ${even.join(', ')}`] : []),
  ];
  return `${printable(name)} against ${printable(baseline)}: ${parts.join('; ')}.`;
}

function leads(kind: JudgeResult['kind']): string[] {
  return kind === 'one-of-k' ? ['eceDebiased', 'top1', 'nll'] : ['eceDebiased', 'auroc', 'nll'];
}

function alphaOf({ methods }: JudgeResult): number {
  return Number((1 - methods[0]!.summary.settings.level).toFixed(10));
}

function legend(result: JudgeResult): string {
  const { settings } = result.methods[0]!.summary;
  const by = settings.independent === 'groups' ? 'patients' : 'samples';
  const what =
    result.kind === 'one-of-k' ? `${result.names.length} classes` : `${result.names.length} findings`;
  const marks =
    result.methods.length > 1
      ? ` · ✓ better, ✗ worse than ${printable(result.differences[0]?.second ?? '')} (p < ${alphaOf(result)}, Holm-corrected)`
      : '';
  return `${count(result.samples)} samples, ${what} · [ ] ${Math.round(100 * settings.level)} % interval over ${by}${marks}`;
}

function figureLines(result: JudgeResult, width: number, bold: (text: string) => string): string[] {
  const [first] = result.methods;
  const figures = shownFigures(result.kind, result.names.length, first!.summary.figures);
  const rows = figures.map((figure) => `${figureHead(figure)} ${betterArrow(figure)}`);
  const columns = result.methods.map(({ name, summary }) => ({
    head: printable(name),
    cells: figures.map((figure) => cell(figure, summary.figures, markOf(result, figure, name))),
  }));
  return grid(rows, columns, width, bold);
}

function markOf(result: JudgeResult, figure: Figure, name: string): string {
  const difference = result.differences.find(
    ({ first, second }) => first === name && second === result.differences[0]!.second,
  );
  const verdict = verdictOf(figure, difference?.figures[figure.name], alphaOf(result));
  return verdict === 'better' ? ' ✓' : verdict === 'worse' ? ' ✗' : '';
}

function cell(figure: Figure, estimates: Estimates, mark = ''): string {
  const estimate = estimates[figure.name]!;
  const interval = formatInterval(figure, estimate);
  return `${formatFigure(figure, estimate.value)}${interval === undefined ? '' : ` [${interval}]`}${mark}`;
}

/** Per finding: AUROC, AUPRC and calibration of the first method. */
function findingLines(result: JudgeResult, width: number, bold: (text: string) => string): string[] {
  if (result.kind !== 'findings') return [];
  const [first] = result.methods;
  const { figures, findings } = first!.summary;
  const shown = ['auroc', 'auprc', 'eceDebiased', 'brier'].map((name) => figureNamed('findings', name));
  if (figures[shown[0]!.name]?.perFinding === undefined) return [];
  const columns = [
    {
      head: 'positive / known',
      cells: findings!.map(({ positives, known }) => `${count(positives)} / ${count(known)}`),
    },
    ...shown.map((figure) => ({
      head: `${figureHead(figure)} ${betterArrow(figure)}`,
      cells: findings!.map(({ name }) => {
        const estimate = figures[figure.name]!.perFinding![name]!;
        const interval = formatInterval(figure, estimate);
        return `${formatFigure(figure, estimate.value)}${interval === undefined ? '' : ` [${interval}]`}`;
      }),
    })),
  ];
  const title = result.methods.length > 1 ? [bold(`Findings, ${printable(first!.name)}`)] : [];
  return [
    ...title,
    ...grid(
      findings!.map(({ name }) => printable(name)),
      columns,
      width,
      bold,
    ),
  ];
}

function stratumLines(result: JudgeResult, width: number, bold: (text: string) => string): string[] {
  if (result.strata === undefined) return [];
  const { column, values } = result.strata;
  const lines: string[] = [];
  for (const name of leads(result.kind)) {
    const figure = figureNamed(result.kind, name);
    const rows = values.map(({ value, samples }) => `${printable(value) || '(blank)'} (${count(samples)})`);
    const columns = result.methods.map((method, m) => ({
      head: printable(method.name),
      cells: values.map(({ methods }) =>
        methods[m] === undefined ? 'too few' : cell(figure, methods[m].figures),
      ),
    }));
    lines.push(bold(`${figureHead(figure)} by ${printable(column)}`), ...grid(rows, columns, width, bold));
  }
  return lines;
}

/** Rows with as many columns side by side as fit, the others below. */
function grid(
  rows: readonly string[],
  columns: readonly { readonly head: string; readonly cells: readonly string[] }[],
  width: number,
  bold: (text: string) => string,
): string[] {
  const headWidth = Math.max(...rows.map(length), 0);
  const widths = columns.map(({ head, cells }) => Math.max(length(head), ...cells.map(length)));
  const lines: string[] = [];
  for (let from = 0; from < columns.length; ) {
    let to = from;
    let used = headWidth;
    while (to < columns.length && (to === from || used + 2 + widths[to]! <= width)) used += 2 + widths[to++]!;
    const line = (head: string, texts: readonly string[]) =>
      [pad(head, headWidth), ...texts.map((text, c) => pad(text, widths[from + c]!))].join('  ');
    lines.push(
      bold(
        line(
          '',
          columns.slice(from, to).map(({ head }) => head),
        ),
      ),
    );
    rows.forEach((head, r) => {
      lines.push(
        line(
          head,
          columns.slice(from, to).map(({ cells }) => cells[r]!),
        ),
      );
    });
    from = to;
  }
  return lines;
}

function wrap(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const next = line === '' ? (lines.length > 0 ? indent : '') + word : `${line} ${word}`;
    if (length(next) > width && line !== '') {
      lines.push(line);
      line = indent + word;
    } else line = next;
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

function count(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ',');
}
