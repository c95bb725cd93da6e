import { formatFigure, formatInterval, UNDEFINED } from '../figures/index.ts';
import { capital, list } from './format.ts';
import { append } from './measure.ts';
import { type BaselineResults, baselineName } from './parts/baselines.ts';
import { calibratorText } from './parts/calibrators.ts';
import { type FigureResults, figuresOf } from './parts/figures.ts';
import type { FittedResults } from './parts/fitted.ts';
import type { ShownCell } from './report.ts';
import type { ShownFigure } from './shown.ts';
import { plain, type Table } from './tables/table.ts';
import { type Facts, type MethodFacts, percent, wordOf } from './verdict/index.ts';
import { cellOf, columnOf, methodTable, type View } from './view.ts';

/** The first table of a report: what each method says of itself, how often it is right, and what to think of it. */
export interface SummaryTable {
  readonly heads: readonly string[];
  readonly rows: readonly SummaryRow[];
}

export interface SummaryRow {
  readonly name: string;
  /** The method's place; undefined for who looks at no image. */
  readonly series?: number;
  /** As many as heads less two: name and verdict have columns of their own. */
  readonly cells: readonly string[];
  /** The second line of a cell, where there is one. */
  readonly small: readonly string[];
  readonly word: string;
  readonly kind: 'good' | 'bad' | 'open' | 'none';
}

export function summaryTable(view: View, facts: Facts): SummaryTable {
  const findings = facts.kind === 'findings';
  const error = facts.figures[facts.error];
  const after = facts.calibrator !== null;
  const baselines = view.judgement.parts.baselines as BaselineResults | undefined;
  const rows = view.sorted(facts.methods.map(({ id }) => id)).map((id): SummaryRow => {
    const one = facts.methods.find((method) => method.id === id)!;
    const { word, kind } = wordOf(facts, one);
    return {
      name: view.name(id),
      series: view.series(id),
      cells: [
        percentCell(one.sure),
        percentCell(one.right),
        errorCell(error, one),
        ...(after ? [fittedCell(error, one)] : []),
      ],
      small: ['', '', intervalOf(error, one.error), ...(after ? [temperatureOf(one)] : [])],
      word: id === facts.baseline && facts.methods.length > 1 ? `${word} (baseline)` : word,
      kind,
    };
  });
  const ignorant = (baselines?.rows ?? []).map((row): SummaryRow => {
    const { top1, confidenceGap, eceDebiased } = row.figures;
    const right = top1?.value ?? baselines!.present;
    const gap = confidenceGap?.value ?? null;
    return {
      name: baselineName(row.name, baselines!),
      cells: [
        percentCell(right === null || gap === null ? null : right + gap),
        percentCell(right),
        error === undefined ? UNDEFINED : valueWithUnit(error, eceDebiased?.value ?? null),
        ...(after ? [''] : []),
      ],
      small: ['', '', '', ...(after ? [''] : [])],
      word: 'looks at no image',
      kind: 'none',
    };
  });
  return {
    heads: [
      'Method',
      findings ? 'Expects' : 'Sure',
      findings ? 'Present' : 'Right',
      'Calibration error',
      ...(after
        ? [
            capital(
              `with ${facts.calibrator === 'temperature' ? 'a temperature' : calibratorText(facts.calibrator!)}`,
            ),
          ]
        : []),
      'Verdict',
    ],
    rows: [...rows, ...ignorant],
  };
}

/** What the words of the table mean, in one line. */
export function summaryNote(facts: Facts): string {
  const sure =
    facts.kind === 'findings'
      ? 'Expects: the mean probability of a finding; present: how often one is there.'
      : 'Sure: how probable the networks call their own answers, on average; right: how often these are.';
  return `${sure} Calibration error: how far probabilities are from how often they come true, on average, with the ${facts.level} interval of the true error. “No miscalibration shown”: its error may be 0, and may be as large as the interval says.`;
}

/** Gap and losses of every method, without and with the calibrator, beside who looks at no image. */
export function numbersTable(view: View): Table {
  const results = view.judgement.parts.figures as FigureResults;
  const fitted = view.judgement.parts.fitted as FittedResults | undefined;
  const baselines = view.judgement.parts.baselines as BaselineResults | undefined;
  const figures = numbersOf(results, view);
  const losses = figures.filter(({ name }) => name !== 'confidenceGap');
  const with_ =
    fitted === undefined
      ? ''
      : `with ${fitted.calibrator === 'temperature' ? 'a temperature' : calibratorText(fitted.calibrator)}`;
  return methodTable(
    view,
    {
      id: 'summary',
      title: view.title('confidence and losses'),
      caption: `Confidence − accuracy: above 0 is over-confident. NLL and Brier score: losses of the whole probabilities, lower is better.${fitted === undefined ? '' : ' Marks are for the columns without a calibrator.'}`,
    },
    [
      ...figures.map((figure) => columnOf(figure, fitted && { group: 'without a calibrator' })),
      ...(fitted === undefined
        ? []
        : losses.map((figure) =>
            columnOf(figure, { id: `${figure.name}_fitted`, group: with_, better: 'none' }),
          )),
    ],
    [
      ...view.sorted(view.ids).map((id) => ({
        method: id,
        cells: [
          ...figures.map(({ name }) =>
            cellOf(
              results.methods.find(({ method }) => method === id),
              name,
            ),
          ),
          ...(fitted === undefined
            ? []
            : losses.map(({ name }) => ({
                ...cellOf(
                  fitted.own.find(({ method }) => method === id),
                  name,
                ),
                versus: null,
              }))),
        ],
      })),
      ...(baselines?.rows ?? []).map((row) => ({
        method: baselineName(row.name, baselines!),
        cells: [
          ...figures.map(({ name }) => plain(row.figures[name]?.value ?? null)),
          ...(fitted === undefined ? [] : losses.map(() => plain(null))),
        ],
      })),
    ],
  );
}

function numbersOf(results: FigureResults, view: View): ShownFigure[] {
  const wanted = ['confidenceGap', 'nll', 'brier'];
  return figuresOf(view, results)
    .filter(({ name }) => wanted.includes(name))
    .sort((a, b) => wanted.indexOf(a.name) - wanted.indexOf(b.name));
}

/** What differs significantly in one table from one thing: whom, and in which figures. */
export interface Difference {
  /** The part, and what of it: `Conformal sets`, `Calibrators · with a temperature`. */
  readonly where: string;
  /** What they differ from. */
  readonly against: string;
  /** By method, in the order of the table, the figures in which it is better, worse, or different without a better side. */
  readonly better: Sided;
  readonly worse: Sided;
  readonly differs: Sided;
}

export type Sided = ReadonlyMap<string, readonly string[]>;
export const SIDES = ['better', 'worse', 'differs'] as const;

/**
 * Every significant difference of every table of a cell: nothing that a test has shown is missing. The heat map of all
 * calibrators repeats what stands in the table of each, and is passed over.
 */
export function differencesOf({ view, parts }: ShownCell): Difference[] {
  return parts.flatMap(({ part, blocks }) =>
    blocks.flatMap((block) => {
      if (!('table' in block) || block.table.id === REPEATED) return [];
      const { columns, rows, against = view.baseline, stubs } = block.table;
      const found = new Map<string, Record<(typeof SIDES)[number], Map<string, string[]>>>();
      for (const row of rows)
        row.cells.forEach(({ mark }, c) => {
          if (mark === null) return;
          const key = row.stubs.slice(0, stubs.length - 1).join(' · ');
          const own = found.get(key) ?? { better: new Map(), worse: new Map(), differs: new Map() };
          found.set(key, own);
          const { group, label } = columns[c]!;
          append(own[mark], row.stubs.at(-1)!, group === undefined ? label : `${group}: ${label}`);
        });
      const what = block.fold?.split(':')[0] ?? '';
      return [...found].map(([key, sides]) => ({
        where: [part.title, what, key].filter((text) => text !== '').join(' · '),
        against,
        ...sides,
      }));
    }),
  );
}

/** The table whose tests stand in other tables too. */
const REPEATED = 'calibration';

/** `ols: AUROC, NLL`; methods with the same figures together, a line for each. */
export function sidedLines(sided: Sided): string[] {
  const groups = new Map<string, string[]>();
  for (const [method, figures] of sided) append(groups, list(figures), method);
  return [...groups].map(([figures, methods]) => `${list(methods)}: ${figures}`);
}

function percentCell(share: number | null): string {
  return share === null ? UNDEFINED : percent(share);
}

function valueWithUnit(figure: ShownFigure, value: number | null): string {
  return value === null
    ? UNDEFINED
    : `${formatFigure(figure, value)}${figure.unit === '' ? '' : ` ${figure.unit}`}`;
}

function errorCell(figure: ShownFigure | undefined, { error, against }: MethodFacts): string {
  if (figure === undefined) return UNDEFINED;
  const verdict = against[figure.name];
  const sign = verdict === 'better' ? ' ✓' : verdict === 'worse' ? ' ✗' : '';
  return `${valueWithUnit(figure, error.value)}${sign}`;
}

function fittedCell(figure: ShownFigure | undefined, { fitted }: MethodFacts): string {
  return figure === undefined || fitted === null ? UNDEFINED : valueWithUnit(figure, fitted.error.value);
}

function intervalOf(figure: ShownFigure | undefined, estimate: MethodFacts['error']): string {
  const text = figure && formatInterval(figure, estimate);
  return text === undefined ? '' : `[${text}]`;
}

function temperatureOf({ fitted }: MethodFacts): string {
  return fitted?.temperature == null ? '' : `T = ${fitted.temperature.toFixed(2)}`;
}
