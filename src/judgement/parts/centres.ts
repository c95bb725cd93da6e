import {
  figureHead,
  formatFigure,
  measureFigures,
  type Outputs,
  figuresOf as registered,
  shownFigures,
} from '../../figures/index.ts';
import type { Estimate } from '../../metrics/index.ts';
import { list, plural } from '../format.ts';
import type { JudgedCentre } from '../judged.ts';
import type { Context, Part } from '../part.ts';
import type { Measured, ShownFigure } from '../shown.ts';
import { type CellSpec, type ColumnSpec, plain } from '../tables/table.ts';
import {
  type Answer,
  columnOf,
  forestPanels,
  methodTable,
  type Remark,
  said,
  stateLegend,
  type View,
} from '../view.ts';
import { calibratedOutputs, calibratorText, withCalibrator } from './calibrators.ts';
import { leadList, leadsOf } from './figures.ts';

/** The networks tested in another centre. */
export interface CentreResult {
  readonly centre: string;
  readonly kind: JudgedCentre['kind'];
  /** Judged images there, and classes that have none. */
  readonly samples: number;
  readonly absentClasses: readonly string[];
  /** `none`, and `temperature` (fitted in-centre) where calibrators are fitted. */
  readonly calibrator: string;
  readonly methods: readonly {
    readonly method: string;
    readonly inCentre: Readonly<Record<string, Estimate>>;
    readonly outOfCentre: Readonly<Record<string, Estimate>>;
    /** `in − out` for the same networks: positive is a loss of accuracy, and less of an error. */
    readonly drop: Readonly<Record<string, Estimate>>;
  }[];
}

export const centresPart: Part<readonly CentreResult[]> = {
  name: 'centres',
  title: 'Centres',
  kinds: ['one-of-k', 'findings'],
  async measure(context) {
    const { centres = [] } = context.judged;
    if (centres.length === 0) return { absent: 'no other centre was named', quiet: true };
    const fitted = context.of('calibration') as readonly { readonly calibrator: string }[] | undefined;
    const temperature = fitted?.some(({ calibrator }) => calibrator === 'temperature') ?? false;
    const results: CentreResult[] = [];
    for (const centre of centres)
      for (const calibrator of temperature ? ['none', 'temperature'] : ['none']) {
        context.tell(`centre ${centre.name}, ${calibratorText(calibrator)}`);
        results.push(await inCentre(context, centre, calibrator));
      }
    return results;
  },
  show(results, view) {
    return {
      blocks: [
        { figure: centreFigure(view, results) },
        { table: centreTable(view, results), fold: 'Every figure in and out of centre' },
      ],
      answers: results.map((result) => answer(view, result)),
    };
  },
};

async function inCentre(context: Context, centre: JudgedCentre, calibrator: string): Promise<CentreResult> {
  const methods: CentreResult['methods'][number][] = [];
  let away: Outputs[] = [];
  for (const { id, runs } of context.judged.methods) {
    const home: Outputs[] = [];
    away = [];
    for (const run of runs) {
      const there = () => run.network!.centre!(centre.name);
      const plain = calibrator === 'none';
      home.push(plain ? await run.judged() : (await calibratedOutputs('temperature', run)).outputs);
      away.push(plain ? await there() : (await calibratedOutputs('temperature', run, there)).outputs);
    }
    methods.push({ method: id, ...dropOf(home, away, context, groupsOf(centre, away[0]!)) });
  }
  const { targets } = away[0]!;
  const there = new Set(targets.kind === 'one-of-k' ? targets.values : targets.names.keys());
  return {
    centre: centre.name,
    kind: centre.kind,
    samples: away[0]!.probabilities.length / targets.names.length,
    absentClasses: targets.names.filter((_name, k) => !there.has(k)),
    calibrator,
    methods,
  };
}

function groupsOf(
  { groups }: JudgedCentre,
  { indices, targets, probabilities }: Outputs,
): Int32Array | undefined {
  const n = probabilities.length / targets.names.length;
  return groups && Int32Array.from({ length: n }, (_, i) => groups[indices?.[i] ?? i]!);
}

/**
 * A method's figures in and out of centre, and the drop between them. The two centres' images are independent, so that
 * the interval of a drop follows from the two: of a statistic by variance recovery (MOVER: Zou and Donner, Statistics in
 * Medicine 2008), of a calibration error, whose interval is no estimate of a variance, between the differences of the ends
 * at half the miscoverage each (Bonferroni). It is the same networks that are tested, so that what seeds differ by in both
 * centres alike is counted twice: the intervals are rather too wide.
 */
export function dropOf(
  home: readonly Outputs[],
  away: readonly Outputs[],
  { options }: Pick<Context, 'options'>,
  awayGroups: Int32Array | undefined,
): Omit<CentreResult['methods'][number], 'method'> {
  const { groups: _, ...rest } = options;
  const plain = { ...rest, perFinding: false };
  const outside = { ...plain, ...(awayGroups && { groups: awayGroups }) };
  const level = 1 - (1 - (options.level ?? 0.95)) / 2;
  const inside = { ...plain, ...(options.groups && { groups: options.groups }) };
  const inCentre = measureFigures(home, inside);
  const outOfCentre = measureFigures(away, outside);
  const wide = [
    measureFigures(home, { ...inside, level }),
    measureFigures(away, { ...outside, level }),
  ] as const;
  const { kind } = home[0]!.targets;
  const names = registered(kind)
    .filter(({ name, needs }) => needs === undefined && inCentre[name] && outOfCentre[name])
    .map(({ name, sort }) => ({ name, sort }));
  const drop = ({ name, sort }: (typeof names)[number]) =>
    sort === 'calibration'
      ? between(wide[0][name]!, wide[1][name]!, (a, b) => a + b)
      : between(inCentre[name]!, outOfCentre[name]!, Math.hypot);
  return {
    inCentre: Object.fromEntries(names.map(({ name }) => [name, inCentre[name]!])),
    outOfCentre: Object.fromEntries(names.map(({ name }) => [name, outOfCentre[name]!])),
    drop: Object.fromEntries(names.map((one) => [one.name, drop(one)])),
  };
}

/** The difference of two independent estimates; its reach to either side is joined from theirs. */
function between(first: Estimate, second: Estimate, join: (a: number, b: number) => number): Estimate {
  if (first.value === null || second.value === null) return { value: null, low: null, high: null };
  const value = first.value - second.value;
  if (first.low === null || second.low === null) return { value, low: null, high: null };
  return {
    value,
    low: value - join(first.value - first.low, second.high! - second.value),
    high: value + join(first.high! - first.value, second.value - second.low),
  };
}

function figuresOf(view: View, { methods }: CentreResult): ShownFigure[] {
  return shownFigures(view.judgement.kind, view.judgement.names.length, methods[0]!.drop);
}

function side(result: CentreResult, key: 'inCentre' | 'outOfCentre'): Measured[] {
  return result.methods.map((one) => ({ method: one.method, figures: one[key], versus: null }));
}

function centreFigure(view: View, results: readonly CentreResult[]) {
  const figures = leadList(leadsOf(figuresOf(view, results[0]!)));
  return {
    file: 'centres',
    title: view.title('In other centres'),
    note: `The same networks tested where they were trained and elsewhere. ${view.intervalNote}`,
    columns: view.medium === 'file' ? 1 : 3,
    legend: stateLegend(['in centre', 'out of centre']),
    panels: results.flatMap((result) =>
      forestPanels(
        view,
        figures.map((figure) => ({
          figure,
          reference: null,
          fromZero: figure.sort === 'calibration',
          states: [
            { what: 'in centre', methods: side(result, 'inCentre') },
            { what: `in ${result.centre}`, methods: side(result, 'outOfCentre') },
          ],
        })),
        `${list(figures.map(({ label }) => label))} in centre and in ${result.centre}, ${calibratorText(result.calibrator)}`,
      ).map((panel) => ({
        ...panel,
        head: [
          `${result.centre}, ${calibratorText(result.calibrator)}: ${plural(result.samples, 'image')}`,
          panel.head ?? '',
        ]
          .filter((text) => text !== '')
          .join(' · '),
      })),
    ),
  };
}

function centreTable(view: View, results: readonly CentreResult[]) {
  const figures = figuresOf(view, results[0]!);
  const sides = [
    ['in', 'inCentre'],
    ['out', 'outOfCentre'],
    ['drop', 'drop'],
  ] as const;
  const columns = figures.flatMap((figure) =>
    sides.map(
      ([label]): ColumnSpec =>
        columnOf(figure, {
          id: `${figure.name}_${label}`,
          label,
          group: figureHead(figure),
          // A drop of accuracy is a loss, and one of the calibration error a gain.
          ...(label === 'drop' && {
            better: figure.better === 'higher' ? 'lower' : figure.better === 'lower' ? 'higher' : 'zero',
          }),
        }),
    ),
  );
  const notes = new Map(
    results.map(({ centre, samples, kind, absentClasses: gone }) => [
      centre,
      `${centre}: ${plural(samples, 'image')} of ${kind === 'site' ? 'other sites of the data set' : 'another data set'}${
        gone.length === 0
          ? '.'
          : `; none of ${gone.slice(0, 20).join(', ')}${gone.length > 20 ? ` and ${gone.length - 20} others` : ''}.`
      }`,
    ]),
  );
  return methodTable(
    view,
    {
      id: 'centres',
      title: view.title('in and out of centre'),
      caption: `The same networks on images of the training centre and of others. Drop: in-centre minus out-of-centre, above 0 a loss of accuracy, below 0 a rise of an error; ${view.level} intervals, not corrected for the number of methods. Temperatures are fitted in-centre.`,
      stubs: ['Centre', 'Calibration'],
      notes: [...notes.values()],
    },
    columns,
    results.flatMap((result) =>
      result.methods.map((one) => ({
        method: one.method,
        stubs: [result.centre, result.calibrator === 'none' ? 'as trained' : result.calibrator],
        cells: figures.flatMap(({ name }) =>
          sides.map(
            ([, key]): CellSpec =>
              one[key][name] === undefined ? plain(null) : { estimate: one[key][name] },
          ),
        ),
      })),
    ),
  );
}

/** What the same networks lose in another centre. The drops are not corrected for their number. */
function answer(view: View, result: CentreResult): Answer {
  const figures = leadList(leadsOf(figuresOf(view, result)));
  const remarks = figures.map((figure): Remark => {
    const drops = result.methods.map(({ drop }) => drop[figure.name]!).filter(({ value }) => value !== null);
    if (drops.length === 0) return said(`${figure.label}: not defined there.`);
    const clear = drops.filter(({ low, high }) => low !== null && high !== null && (low > 0 || high < 0));
    const worse = clear.filter(({ value }) => value! > 0 === (figure.better === 'higher')).length;
    const better = clear.length - worse;
    const changes = drops.map(({ value }) => -value!);
    const [least, most] = [Math.min(...changes), Math.max(...changes)].map((v) =>
      formatFigure(figure, v, true),
    );
    const words =
      clear.length === 0
        ? 'for none of them beyond chance'
        : list([
            ...(worse > 0 ? [`worse beyond chance for ${worse} of ${drops.length}`] : []),
            ...(better > 0 ? [`better beyond chance for ${better} of ${drops.length}`] : []),
          ]);
    return said(
      `${figure.label} out of centre against in centre: ${least === most ? least : `between ${least} and ${most}`}${figure.unit === '%' ? ' points' : ''} over the methods, ${words} (${view.level} interval without 0, not corrected for the number of methods).`,
    );
  });
  if (result.absentClasses.length > 0)
    remarks.push(
      said(
        `${plural(result.absentClasses.length, 'class has', 'classes have')} no image there: balanced figures leave them out.`,
      ),
    );
  return { question: `What is left in ${result.centre}, ${withCalibrator(result.calibrator)}?`, remarks };
}
