import {
  chooseThresholds,
  formatFigure,
  formatInterval,
  formatP,
  type Joint,
  measureMethods,
  type Outputs,
  SeenOutputs,
  shownFigures,
} from '../../figures/index.ts';
import { type McNemar, mcnemar } from '../../metrics/index.ts';
import { formatCount, list } from '../format.ts';
import { type JudgedRun, outputsByMethod } from '../judged.ts';
import { record } from '../measure.ts';
import type { Context, Part } from '../part.ts';
import type { Measured, ShownFigure, Tested } from '../shown.ts';
import {
  type Answer,
  type ForestSpec,
  figureRemarks,
  figureTable,
  forestFigure,
  type Remark,
  said,
  tableNotes,
  type View,
} from '../view.ts';
import { afterOf, type CalibratorResult, calibratorText } from './calibrators.ts';

/** All figures of every method, and the differences of methods on the same samples. */
export interface FigureResults {
  readonly methods: readonly Measured[];
  /** `first − second`; p-values adjusted over all pairs, a family for each figure. */
  readonly pairs: readonly FigurePair[];
  /** Of each run by itself, by method. */
  readonly runs: Readonly<Record<string, readonly RunFigures[]>>;
}

export interface FigurePair {
  readonly first: string;
  readonly second: string;
  readonly figures: Readonly<Record<string, Tested>>;
  /** Of the top-1 accuracy, where each method has one run. */
  readonly mcnemar: McNemar | null;
}

export interface RunFigures {
  readonly run: string;
  readonly figures: Readonly<Record<string, number | null>>;
}

/**
 * The registered figures of every method on outputs as `outputs` gives them, with those of each run.
 * @param perFinding whether each finding's own are wanted: they are most of the work
 * @param known what was measured of these outputs before
 */
export async function measureFigures(
  context: Context,
  outputs: (run: JudgedRun) => Promise<Outputs>,
  perFinding = false,
  known?: Joint,
): Promise<FigureResults> {
  const { options, judged } = context;
  const held = await lookAt(context, outputs);
  const runs = record([...held.keys()], (id) =>
    held.get(id)!.map((one, r) => {
      const bare = { ...options, replicates: 0, perFinding: false, pairs: 'none' } as const;
      const figures = measureMethods(new Map([[id, [one]]]), bare).methods.get(id)!;
      const { name } = judged.methods.find((method) => method.id === id)!.runs[r]!;
      return { run: name, figures: record(Object.keys(figures), (figure) => figures[figure]!.value) };
    }),
  );
  return { ...compareHeld(context, held, perFinding, known), runs };
}

/** The same without each run's. */
export async function compareMethods(
  context: Context,
  outputs: (run: JudgedRun) => Promise<Outputs>,
): Promise<Pick<FigureResults, 'methods' | 'pairs'>> {
  return compareHeld(context, await lookAt(context, outputs), false);
}

type Held = ReadonlyMap<string, readonly SeenOutputs[]>;

async function lookAt({ judged, options }: Context, of: (run: JudgedRun) => Promise<Outputs>): Promise<Held> {
  const held = new Map<string, SeenOutputs[]>();
  for await (const { id, outputs } of outputsByMethod(judged, of))
    held.set(
      id,
      outputs.map((one) => new SeenOutputs(one, options)),
    );
  return held;
}

function compareHeld(
  { judged, options }: Context,
  held: Held,
  perFinding: boolean,
  known?: Joint,
): Pick<FigureResults, 'methods' | 'pairs'> {
  const { methods, baseline, pairs = 'baseline' } = judged;
  const joint =
    known ??
    measureMethods(held, { ...options, perFinding, baseline, pairs: methods.length < 2 ? 'none' : pairs });
  const versus = (method: string) => {
    const pair = joint.pairs.find(({ first, second }) => first === method && second === baseline);
    const turned = joint.pairs.find(({ first, second }) => first === baseline && second === method);
    return (
      pair?.figures ??
      (turned && record(Object.keys(turned.figures), (name) => negative(turned.figures[name]!)))
    );
  };
  return {
    methods: [...joint.methods].map(([method, figures]) => ({
      method,
      figures,
      versus: versus(method) ?? null,
    })),
    pairs: joint.pairs.map((pair) => ({
      ...pair,
      mcnemar: mcnemarOf(held.get(pair.first)!, held.get(pair.second)!),
    })),
  };
}

function negative({ perFinding, ...difference }: Tested): Tested {
  const minus = (value: number | null) => (value === null ? null : value === 0 ? 0 : -value);
  const turned = ({ value, low, high, ...rest }: typeof difference) => ({
    value: minus(value),
    low: minus(high),
    high: minus(low),
    ...rest,
  });
  return {
    ...turned(difference),
    ...(perFinding && {
      perFinding: record(Object.keys(perFinding), (name) => turned(perFinding[name]!)),
    }),
  };
}

function mcnemarOf(first: readonly SeenOutputs[], second: readonly SeenOutputs[]): McNemar | null {
  if (first.length > 1 || second.length > 1 || first[0]!.outputs.targets.kind !== 'one-of-k') return null;
  const [a, b] = [first[0]!, second[0]!].map(({ top }) => top.correct);
  return mcnemar(a!, b!);
}

/** A run's outputs; of findings with operating points that are chosen on its validation outputs, where it has some. */
export async function judgedOutputs(run: JudgedRun): Promise<Outputs> {
  const outputs = await run.judged();
  if (outputs.targets.kind !== 'findings' || run.validation === undefined || outputs.thresholds)
    return outputs;
  return { ...outputs, thresholds: chooseThresholds(await run.validation()) };
}

/** The figures to show of some that were measured; those against a known truth have a part of their own. */
export function figuresOf(
  view: View,
  results: { readonly methods: readonly Measured[] },
  truth = false,
): ShownFigure[] {
  const { kind, names } = view.judgement;
  return shownFigures(kind, names.length, results.methods[0]?.figures ?? {}).filter(
    ({ name }) => name.startsWith('truth.') === truth,
  );
}

/** The first figure of each sort in the registry's order: what overviews, captions and short tables show. */
export interface Leads {
  /** A calibration error. */
  readonly calibration: ShownFigure | undefined;
  /** Of right answers, or of ranking: more is better. */
  readonly accuracy: ShownFigure | undefined;
  /** A loss of probabilities. */
  readonly loss: ShownFigure | undefined;
}

export function leadsOf(figures: readonly ShownFigure[]): Leads {
  return {
    calibration: figures.find(({ sort }) => sort === 'calibration'),
    accuracy: figures.find(({ better }) => better === 'higher'),
    loss: figures.find(({ sort, better }) => sort !== 'calibration' && better === 'lower'),
  };
}

export function leadList({ calibration, accuracy, loss }: Leads): ShownFigure[] {
  return [calibration, loss, accuracy].filter((figure) => figure !== undefined);
}

/** Every figure of every method, without a calibrator. */
export const figuresPart: Part<FigureResults> = {
  name: 'figures',
  title: 'Figures',
  kinds: ['one-of-k', 'findings'],
  measure(context) {
    context.tell('intervals and differences');
    return measureFigures(context, judgedOutputs, true, context.judged.measured);
  },
  show(results, view) {
    const figures = figuresOf(view, results);
    const after = afterOf(view);
    const pairs = pairTables(view, results, figures);
    return {
      blocks: [
        {
          table: figureTable(
            view,
            {
              id: 'main',
              title: view.title('accuracy and calibration'),
              caption: 'Without a calibrator.',
              notes: tableNotes(view),
            },
            figures,
            results.methods,
          ),
        },
        { figure: leadFigure(view, results, figures, after) },
        ...pairs,
      ],
      answers: [
        ...sureAnswer(view, results, figures),
        ...sorted(view, results, figures),
        ...harmAnswer(view, results, figures),
      ],
    };
  },
};

/** The lead figures before and after calibration, then all others. */
function leadFigure(
  view: View,
  results: FigureResults,
  figures: readonly ShownFigure[],
  after: CalibratorResult | undefined,
) {
  const leads = leadList(leadsOf(figures));
  const plain = { what: after === undefined ? '' : 'no calibrator', methods: results.methods };
  const states =
    after === undefined
      ? [plain]
      : [plain, { what: calibratorText(after.calibrator), methods: after.methods }];
  const spec = (figure: ShownFigure): ForestSpec => ({
    figure,
    states,
    fromZero: figure.sort === 'calibration',
  });
  const rest = figures.filter((figure) => !leads.includes(figure));
  const rows = [leads, ...thirds(rest)];
  return forestFigure(
    view,
    {
      file: 'figures',
      title: 'Calibration and accuracy',
      note: `${view.intervalNote}${view.ids.length > 1 ? ` The dashed line is at ${view.baseline} without a calibrator.` : ''} ${view.signNote} Axes of calibration errors start at 0, the others do not.${view.ids.length > 1 ? ' Two intervals that overlap can still belong to a significant difference, because methods are compared on the same images.' : ''}`,
    },
    rows.map((row) => row.map(spec)),
  );
}

function thirds<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / 3) }, (_, i) => items.slice(3 * i, 3 * i + 3));
}

/** Differences of pairs without the baseline, and McNemar's test where it is defined. */
function pairTables(view: View, { pairs }: FigureResults, figures: readonly ShownFigure[]) {
  const lines = pairs.flatMap(({ first, second, mcnemar }) =>
    mcnemar === null
      ? []
      : [
          `McNemar’s exact test of Top-1: only ${view.name(first)} right in ${formatCount(mcnemar.onlyFirst)}, only ${view.name(second)} in ${formatCount(mcnemar.onlySecond)} images; p ${formatP(mcnemar.p, view.alpha).replace(/^(?=\d)/, '= ')} (not corrected).`,
        ],
  );
  const seconds = [...new Set(pairs.map(({ second }) => second))].filter(
    (id) => id !== view.judgement.baseline,
  );
  const others = seconds.flatMap((second) => {
    const rows = pairs.filter(({ first, second: to }) => to === second && first !== view.judgement.baseline);
    if (rows.length === 0) return [];
    return {
      table: figureTable(
        view,
        {
          id: `pairs-${second}`,
          title: view.title(`differences from ${view.name(second)}`),
          against: view.name(second),
          caption: `Method − ${view.name(second)} on the same images. ✓ better, ✗ worse than it.`,
        },
        figures,
        rows.map((pair) => ({
          method: pair.first,
          figures: record(Object.keys(pair.figures), (name) => pair.figures[name]!),
          versus: pair.figures,
        })),
      ),
      fold: `Differences from ${view.name(second)}`,
      only: 'page' as const,
    };
  });
  return [...others, ...(lines.length === 0 ? [] : [{ notes: lines }])];
}

/** How sure the baseline is, and how often it is right: the figure that is best at 0 says it. */
function sureAnswer(view: View, { methods }: FigureResults, figures: readonly ShownFigure[]): Answer[] {
  const gap = figures.find(({ better, unit }) => better === 'zero' && unit === '%');
  if (gap === undefined) return [];
  const remarks = methods.map((one): Remark => {
    const estimate = one.figures[gap.name]!;
    if (estimate.value === null) return said(`${view.name(one.method)}: not defined.`);
    const { low, high } = estimate;
    const words =
      low === null || high === null
        ? 'a gap of unknown certainty'
        : low > 0
          ? 'over-confident'
          : high < 0
            ? 'under-confident'
            : 'neither over- nor under-confident beyond chance';
    const interval = formatInterval(gap, estimate, true)?.replace(', ', ' to ');
    return said(
      `${view.name(one.method)}: ${words} on average (${gap.label.toLowerCase()} ${formatFigure(gap, estimate.value, true)} points${interval === undefined ? '' : `, ${view.level} ${interval}`}).`,
    );
  });
  return [{ question: 'How sure are they, against how often they are right?', remarks }];
}

/** A question for each sort of figures, answered by every figure of it. */
function sorted(view: View, { methods }: FigureResults, figures: readonly ShownFigure[]): Answer[] {
  const ask = (question: string, some: readonly ShownFigure[]): Answer => ({
    question,
    remarks: some.flatMap((figure) => figureRemarks(view, figure, methods)),
  });
  const errors = figures.filter(({ sort }) => sort === 'calibration');
  const [lead, ...forms] = errors;
  const verdicts = ({ name, better }: ShownFigure) =>
    methods.map(({ versus }) => view.sign({ better }, versus?.[name])).join();
  const same = forms.filter((form) => lead !== undefined && verdicts(form) === verdicts(lead));
  const calibration = ask(
    'Which methods change the calibration error?',
    errors.filter((figure) => !same.includes(figure)),
  );
  const alike = said(`The same holds of its other forms: ${list(same.map(({ label }) => label))}.`);
  return [
    same.length === 0 || calibration.remarks.length === 0
      ? calibration
      : { ...calibration, remarks: [...calibration.remarks, alike] },
    ask(
      'What do they cost or bring in accuracy?',
      figures.filter(({ better }) => better === 'higher'),
    ),
    ask(
      'Are losses and risks lower?',
      figures.filter(({ sort, better }) => sort === 'statistic' && better === 'lower'),
    ),
  ];
}

/** Everything that is significantly worse, at one place. */
function harmAnswer(view: View, { methods }: FigureResults, figures: readonly ShownFigure[]): Answer[] {
  const others = methods.filter(({ method }) => method !== view.judgement.baseline);
  if (others.length === 0) return [];
  const remarks = others.flatMap((one): Remark[] => {
    const worse = figures.filter((figure) => view.sign(figure, one.versus?.[figure.name]) === '✗');
    return worse.length === 0
      ? []
      : [{ kind: 'bad', text: `${view.name(one.method)}: ${list(worse.map(({ label }) => label))}.` }];
  });
  if (remarks.length === 0)
    remarks.push(
      said(
        `No method is significantly worse than ${view.baseline} in any figure. That is no proof that none is.`,
      ),
    );
  return [{ question: 'Where do they hurt, without a calibrator?', remarks }];
}
