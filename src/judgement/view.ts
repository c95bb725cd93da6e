import { formatFigure, type Verdict, verdictOf } from '../figures/index.ts';
import type { Estimate } from '../metrics/index.ts';
import { type Figure, type LegendItem, mark, type Panel } from './draw/figure.ts';
import { type ForestMark, type ForestPanel, type ForestRow, forest, forestCard } from './draw/forest.ts';
import { capital, list, plural, pText } from './format.ts';
import type { Judgement } from './judge.ts';
import {
  estimateText,
  headOf,
  type Measured,
  type ShownFigure,
  scaleOf,
  signOf,
  type Tested,
  valueText,
  versusText,
} from './shown.ts';
import { type CellSpec, type ColumnSpec, plain, type RowSpec, type Table, tableOf } from './tables/table.ts';

/** One thing that the numbers say: `good` and `bad` only where a corrected test does. */
export interface Remark {
  readonly kind: 'good' | 'bad' | 'plain';
  readonly text: string;
}

/** A question and what the numbers answer. */
export interface Answer {
  readonly question: string;
  readonly remarks: readonly Remark[];
}

/** A judgement as its tables, drawings and sentences look at it: names, order and colours of methods, what is significant. */
export class View {
  readonly judgement: Judgement;
  /** `knee · resnet10`: what is judged, for titles. */
  readonly subject: string;
  /** Where figures are read: small panels of many methods have to fit the width of a printed page. */
  readonly medium: 'page' | 'file';
  /** What is called significant: 1 − the level of the intervals. */
  readonly alpha: number;
  /** `95 %`. */
  readonly level: string;
  /** The baseline's name for people. */
  readonly baseline: string;
  /** Ids of the methods, in order. */
  readonly ids: readonly string[];

  private readonly order: readonly string[];

  /** @param order ids that fix the methods' colours, where several judgements share a page; default their own */
  constructor(
    judgement: Judgement,
    subject: string,
    medium: 'page' | 'file' = 'page',
    order: readonly string[] = judgement.methods.map(({ id }) => id),
  ) {
    this.order = order;
    this.judgement = judgement;
    this.subject = subject;
    this.medium = medium;
    // 1 − 0.95 is 0.050000000000000044.
    this.alpha = Number((1 - judgement.settings.level).toFixed(10));
    this.level = `${Number((100 * judgement.settings.level).toFixed(2))} %`;
    this.ids = judgement.methods.map(({ id }) => id);
    this.baseline = this.name(judgement.baseline);
  }

  /** A method's name for people; with its id where two carry the same label. */
  name(id: string): string {
    const { methods } = this.judgement;
    const label = methods.find((method) => method.id === id)?.label ?? id;
    return methods.filter((method) => method.label === label).length > 1 ? `${label} (${id})` : label;
  }

  /** A method's place: its colour, shape and dash in every picture. */
  series(id: string): number {
    return Math.max(0, this.order.indexOf(id));
  }

  /** Methods as many of them are read: the baseline first, then by the leading calibration error. A few keep their order. */
  sorted(ids: readonly string[]): readonly string[] {
    if (ids.length <= MANY) return ids;
    const results = this.judgement.parts.figures as { readonly methods: readonly Measured[] } | undefined;
    const error = (id: string) =>
      id === this.judgement.baseline
        ? Number.NEGATIVE_INFINITY
        : (results?.methods.find(({ method }) => method === id)?.figures.eceDebiased?.value ?? 1);
    return ids.toSorted((a, b) => error(a) - error(b));
  }

  /** Whether a method is one of many that are drawn in grey: not the baseline, nor one that differs in what leads. */
  muted(id: string): boolean {
    if (this.ids.length <= MANY || id === this.judgement.baseline) return false;
    const results = this.judgement.parts.figures as { readonly methods: readonly Measured[] } | undefined;
    const versus = results?.methods.find(({ method }) => method === id)?.versus;
    return !['eceDebiased', 'nll'].some(
      (name) => verdictOf({ better: 'lower' }, versus?.[name], this.alpha) === 'better',
    );
  }

  /** How many runs a method has. */
  runs(id: string): number {
    return this.judgement.methods.find((method) => method.id === id)?.runs.length ?? 1;
  }

  /** Twelve panels of four columns fit a page's width; a few are drawn larger. */
  size(panels: number): { width: number; columns: number } {
    return this.medium === 'file' && panels > 6 ? { width: 212, columns: 4 } : { width: 280, columns: 3 };
  }

  title(text: string): string {
    return this.subject === '' ? text : `${text}: ${this.subject}`;
  }

  get intervalNote(): string {
    return this.judgement.settings.replicates === 0
      ? 'No resamples were asked for: there are no intervals.'
      : `Bars are ${this.level} intervals.`;
  }

  get signNote(): string {
    return this.judgement.comparisons === 0
      ? ''
      : `✓ and ✗: significantly better and worse than ${this.baseline}, ≠: significantly different where neither is better (p\u00a0<\u00a0${this.alpha}, Holm-corrected).`;
  }

  sign(figure: Pick<ShownFigure, 'better'>, difference: Tested | null | undefined) {
    return signOf(figure, difference, this.alpha);
  }
}

/** A table of methods × figures. */
export function figureTable(
  view: View,
  head: Pick<Table, 'id' | 'title' | 'caption' | 'against'> & { readonly notes?: readonly string[] },
  figures: readonly ShownFigure[],
  methods: readonly Measured[],
  more: {
    readonly columns: readonly ColumnSpec[];
    readonly cells: (method: string) => readonly CellSpec[];
  } = {
    columns: [],
    cells: () => [],
  },
): Table {
  return methodTable(
    view,
    head,
    [...figures.map((figure) => columnOf(figure)), ...more.columns],
    methods.map((one) => ({
      method: one.method,
      cells: [...figures.map(({ name }) => cellOf(one, name)), ...more.cells(one.method)],
    })),
  );
}

/** A table with a row for each method; `stubs` before the method's name start a block where they change. */
export function methodTable(
  view: View,
  head: Pick<Table, 'id' | 'title' | 'caption' | 'against'> & {
    readonly notes?: readonly string[];
    readonly stubs?: readonly string[];
  },
  columns: readonly ColumnSpec[],
  rows: readonly {
    /** A method's id; or a name of what is none of them. */
    readonly method: string;
    readonly stubs?: readonly string[];
    readonly cells: readonly CellSpec[];
  }[],
): Table {
  const { stubs = [], notes = [] } = head;
  return tableOf(
    { ...head, title: capital(head.title), stubs: [...stubs, 'Method'], notes },
    columns,
    rows.map(
      (row, r): RowSpec => ({
        stubs: [...(row.stubs ?? []), view.name(row.method)],
        ...(view.ids.includes(row.method) && { series: view.series(row.method) }),
        baseline: row.method === view.judgement.baseline,
        block: r === 0 || JSON.stringify(row.stubs) !== JSON.stringify(rows[r - 1]!.stubs),
        cells: row.cells,
      }),
    ),
    view.alpha,
  );
}

/** A figure as a column. @param group a common head over neighbouring columns; the figure's name is in it, not over each */
export function columnOf(
  figure: ShownFigure,
  change: Partial<Pick<ColumnSpec, 'id' | 'label' | 'group' | 'better'>> = {},
): ColumnSpec {
  const { name, label, unit, better, digits, meaning } = figure;
  return { id: name, label, unit, better, least: digits, meaning, ...change };
}

export function cellOf(measured: Measured | undefined, name: string): CellSpec {
  const estimate = measured?.figures[name];
  return estimate === undefined ? plain(null) : { estimate, versus: measured?.versus?.[name] ?? null };
}

/** One state of a method in a forest: full marks first, hollow ones after them. */
export interface ForestState {
  /** `no calibrator`: told by the pointer. */
  readonly what: string;
  readonly methods: readonly Measured[];
}

export interface ForestSpec {
  readonly figure: ShownFigure;
  readonly states: readonly ForestState[];
  readonly head?: string;
  /** Where the dashed line stands; default the baseline's value in the first state; null for none. */
  readonly reference?: number | null;
  /** Panels of one name have one scale. */
  readonly scale?: string;
  readonly fromZero?: boolean;
  /** Default true. */
  readonly signs?: boolean;
  /** Whose value must not be called better, whatever it is. */
  readonly void?: ((one: Measured) => boolean) | undefined;
}

/** A figure that shows every method's values with their intervals, a panel for each figure. */
export function forestPanels(view: View, specs: readonly ForestSpec[], label: string): Panel[] {
  const ids = view.sorted(specs[0]!.states[0]!.methods.map(({ method }) => method));
  const values = ({ states, figure }: ForestSpec) =>
    states.flatMap(({ methods }) =>
      methods.flatMap((one) => {
        const estimate = one.figures[figure.name];
        return estimate === undefined ? [] : [estimate.value, estimate.low, estimate.high];
      }),
    );
  const panels = specs.map((spec): ForestPanel => {
    const { figure, states, head = headOf(figure), scale, fromZero = false, signs = true } = spec;
    const found = (state: ForestState, id: string) => state.methods.find(({ method }) => method === id);
    const base = found(states[0]!, view.judgement.baseline)?.figures[figure.name]?.value ?? null;
    return {
      head,
      scale: scaleOf(figure),
      digits: figure.digits,
      fromZero,
      ...(scale !== undefined && {
        reach: specs
          .filter((other) => other.scale === scale)
          .flatMap((other) => [...values(other), other.reference ?? null]),
      }),
      reference: spec.reference === undefined ? (ids.length > 1 ? base : null) : spec.reference,
      marks: ids.map((id) =>
        states.map((state, s): ForestMark => {
          const measured = found(state, id);
          const estimate = measured?.figures[figure.name] ?? NOTHING;
          const versus = measured?.versus?.[figure.name];
          const difference = versusText(figure, versus, view.alpha);
          return {
            ...estimate,
            hollow: s > 0,
            sign: signs && !(measured && spec.void?.(measured)) ? view.sign(figure, versus) : '',
            tip: [
              `${view.name(id)}${state.what === '' ? '' : `, ${state.what}`}: ${estimateText(figure, estimate, view.level)}`,
              ...(difference === undefined || !signs ? [] : [`against ${view.baseline}: ${difference}`]),
            ].join('\n'),
          };
        }),
      ),
    };
  });
  const rows = ids.map((id): ForestRow => ({ name: view.name(id), series: view.series(id) }));
  if (view.medium === 'file') return [{ drawing: forest(rows, panels, label) }];
  return panels.map((panel, p): Panel => {
    // Of many methods only those that differ are in colour: the others are the crowd that they are seen against.
    const loud = (at: number) =>
      rows.length <= MANY ||
      ids[at] === view.judgement.baseline ||
      panel.marks[at]!.some(({ sign = '' }) => sign !== '');
    return {
      head: panel.head,
      drawing: forestCard(
        rows.map((row, r) => ({ ...row, muted: !loud(r) })),
        panel,
        `${specs[p]!.figure.label} of every method, ${view.subject}`,
      ),
    };
  });
}

/** More methods than this cannot all be told apart by colour. */
const MANY = 6;

export function forestFigure(
  view: View,
  head: Pick<Figure, 'file' | 'title' | 'note'>,
  rows: readonly (readonly ForestSpec[])[],
): Figure {
  const states = rows[0]![0]!.states;
  return {
    ...head,
    title: view.title(head.title),
    columns: view.medium === 'file' ? 1 : 3,
    ...(states.length > 1 && { legend: stateLegend(states.map(({ what }) => what)) }),
    panels: rows.flatMap((specs) =>
      forestPanels(
        view,
        specs,
        `${list(specs.map(({ figure }) => figure.label))} of every method, ${view.subject}`,
      ),
    ),
  };
}

/** Full and hollow marks. */
export function stateLegend(states: readonly string[]): LegendItem[] {
  return states.map((text, s) => ({ mark: mark(0, s > 0), text }));
}

const NOTHING: Estimate = { value: null, low: null, high: null };

/** How intervals and tests were made, and what the marks of a table mean. */
export function tableNotes(view: View): string[] {
  const { judgement } = view;
  const { replicates } = judgement.settings;
  if (replicates === 0) return ['No intervals were asked for, and no tests.'];
  const runs = Math.max(...judgement.methods.map((method) => method.runs.length));
  const unit = judgement.groups ? 'groups (patients)' : 'images';
  const seeds = runs > 1 ? ' and seeds' : '';
  const lines = [
    `[ ] ${view.level} interval: of calibration errors the one that covers the true error, of other figures from how much each of the ${unit}${seeds} moves them; they hold where few decide, too.`,
  ];
  if (judgement.comparisons > 0)
    lines.push(
      `Bold: the best, where a test supports it. ✓ better, ✗ worse than ${view.baseline}, ≠ different where neither is better: p < ${view.alpha} on the same images, Holm-corrected; a family is one column of one network (${plural(judgement.comparisons, 'comparison')}).`,
    );
  return [...lines, ...seedNotes(runs)];
}

export function seedNotes(runs: number): string[] {
  if (runs === 1)
    return [
      'One run of a method: the interval holds the chance of which images were judged, not that of the training. Another seed can differ by more.',
    ];
  return runs < 5
    ? [
        `With ${plural(runs, 'seed')} the spread between trainings is known roughly: intervals are wide for it.`,
      ]
    : [];
}

export function said(text: string): Remark {
  return { kind: 'plain', text };
}

/** The methods by what the corrected test says of them, without the baseline. */
export function byVerdict(
  view: View,
  figure: ShownFigure,
  methods: readonly Measured[],
): Record<Verdict, Measured[]> {
  const groups: Record<Verdict, Measured[]> = {
    better: [],
    worse: [],
    differs: [],
    undecided: [],
    untested: [],
  };
  for (const one of methods)
    if (one.method !== view.judgement.baseline)
      groups[verdictOf(figure, one.versus?.[figure.name], view.alpha)].push(one);
  return groups;
}

/** `A, 4.1 % (−9.6 [−11.2, −7.9], p = 0.006)`: methods whose difference the test has shown, each with its numbers. */
export function proven(view: View, figure: ShownFigure, methods: readonly Measured[]): string {
  if (methods.length > 3) {
    const names = methods.map(
      (one) => `${view.name(one.method)} (${valueText(figure, one.figures[figure.name]!.value)})`,
    );
    const p = Math.max(...methods.map((one) => one.versus![figure.name]!.adjusted!));
    return `${list(names)}, each ${pText(p, view.alpha).replace('=', '≤')}`;
  }
  return list(
    methods.map(
      (one) =>
        `${view.name(one.method)}, ${valueText(figure, one.figures[figure.name]!.value)} (${versusText(figure, one.versus![figure.name], view.alpha)})`,
    ),
  );
}

export function namesOf(view: View, methods: readonly Measured[]): string {
  return list(methods.map((one) => view.name(one.method)));
}

/** What can be said of a figure: lower, higher, undecided, not tested. */
export function figureRemarks(view: View, figure: ShownFigure, methods: readonly Measured[]): Remark[] {
  const { better, worse, differs, undecided, untested } = byVerdict(view, figure, methods);
  if (better.length + worse.length + differs.length + undecided.length + untested.length === 0) return [];
  const base = methods.find(({ method }) => method === view.judgement.baseline)?.figures[figure.name];
  const against = base === undefined ? view.baseline : `${view.baseline} (${valueText(figure, base.value)})`;
  const way = (good: boolean) => (good === (figure.better === 'higher') ? 'higher' : 'lower');
  const remarks: Remark[] = [];
  if (better.length > 0)
    remarks.push({
      kind: 'good',
      text: `${figure.label} significantly ${way(true)} than ${against}: ${proven(view, figure, better)}.`,
    });
  if (worse.length > 0)
    remarks.push({
      kind: 'bad',
      text: `${figure.label} significantly ${way(false)} than ${against}: ${proven(view, figure, worse)}.`,
    });
  if (differs.length > 0)
    remarks.push(
      said(`${figure.label} significantly different from ${against}: ${proven(view, figure, differs)}.`),
    );
  if (undecided.length > 0)
    remarks.push(
      said(
        better.length + worse.length + differs.length + untested.length === 0
          ? undecided.length === 1
            ? `${figure.label}: no significant difference from ${against}: ${proven(view, figure, undecided)}.`
            : `No method differs significantly from ${against} in ${figure.label}.`
          : `No significant difference in ${figure.label}: ${namesOf(view, undecided)}.`,
      ),
    );
  if (untested.length > 0) remarks.push(said(`Not tested in ${figure.label}: ${namesOf(view, untested)}.`));
  return remarks;
}

/** A number that fits into a small cell, whatever it is. */
export function compact(figure: ShownFigure, value: number | null): string {
  const seen = (value ?? 0) * scaleOf(figure);
  if (Math.abs(seen) >= 1e6) return seen.toExponential(0).replace('e+', '·10^');
  return formatFigure(Math.abs(seen) >= 1000 ? { ...figure, digits: 0 } : figure, value);
}
