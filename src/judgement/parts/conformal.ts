import { z } from 'zod';
import {
  conformalMethods,
  defaultConformalMethods,
  fitClassConformal,
  fitConformal,
} from '../../calibration/index.ts';
import {
  formatFigure,
  meanStatistic,
  measureStatistics,
  predictionsOf,
  type Statistic,
} from '../../figures/index.ts';
import { list, plural } from '../format.ts';
import { withoutValidation } from '../judged.ts';
import { append } from '../measure.ts';
import { type Part, registeredName } from '../part.ts';
import { type Measured, type ShownFigure, shownAs } from '../shown.ts';
import { plain } from '../tables/table.ts';
import {
  type Answer,
  cellOf,
  columnOf,
  type ForestSpec,
  forestFigure,
  methodTable,
  type Remark,
  said,
  tableNotes,
  type View,
} from '../view.ts';
import { COVERAGE, SIZE } from './set-figures.ts';

/** One kind of conformal sets for all methods, calibrated on validation, measured on the judged split. */
export interface ConformalResult {
  /** `lac`, `aps`, `raps` … */
  readonly kind: string;
  /** Miscoverage asked for. */
  readonly alpha: number;
  /** Images that calibrated. */
  readonly calibrationSamples: number;
  readonly methods: readonly (Measured & {
    /** Coverage of the class that is covered least, mean over runs; null where no class is judged. */
    readonly worstClass: number | null;
    /** What the calibration complained of: too few images for alpha, so that sets hold all classes. */
    readonly warnings: readonly string[];
  })[];
}

interface ConformalSettings {
  readonly methods?: readonly string[] | undefined;
  readonly alpha: number;
}

const EMPTY = shownAs('empty', 'Empty sets', ['%', 1, 'lower'], 'Share of images whose set holds no class.');

/** `class-lac` is `lac` calibrated for each class by itself. */
const PER_CLASS = 'class-';

/**
 * Each run's sets are calibrated on its own validation outputs and measured on its judged ones. Probabilities are as the
 * networks give them: a calibrator that was fitted on the same images would spoil the coverage.
 */
export const conformalPart: Part<readonly ConformalResult[], ConformalSettings> = {
  name: 'conformal',
  title: 'Conformal sets',
  kinds: ['one-of-k'],
  settings: z
    .union([
      z.literal(false),
      z.strictObject({
        methods: z
          .array(registeredName(kindNames))
          .min(1)
          .optional()
          .describe(
            'Kinds of sets; class-lac is calibrated for each class by itself. Default: lac, aps, raps, class-lac.',
          ),
        alpha: z
          .number()
          .gt(0)
          .lt(1)
          .default(0.1)
          .describe('Miscoverage: the sets hold the label with probability 1 − alpha.'),
      }),
    ])
    .prefault({})
    .describe('Conformal prediction sets, calibrated on the validation split; false for none.')
    .meta({ examples: [{ methods: ['lac', 'aps'], alpha: 0.1 }, false] }),
  async measure({ judged, settings, options, tell }) {
    const absent = withoutValidation(judged, 'to calibrate on');
    if (absent !== undefined) return absent;
    tell('conformal sets');
    const { alpha } = settings;
    const kinds = [...new Set(settings.methods ?? [...defaultConformalMethods, `${PER_CLASS}lac`])];
    const measured = kinds.map(() => new Map<string, Record<string, Statistic>[]>());
    const worst = kinds.map(() => new Map<string, (number | null)[]>());
    const warnings = kinds.map(() => new Map<string, string[]>());
    let samples = 0;
    let calibrationSamples = 0;
    for (const { id, runs } of judged.methods)
      for (const run of runs) {
        const fitOn = predictionsOf(await run.validation!());
        const { probabilities, labels, classes } = predictionsOf(await run.judged());
        samples = labels.length;
        calibrationSamples = fitOn.labels.length;
        for (const [k, kind] of kinds.entries()) {
          const predictor = kind.startsWith(PER_CLASS)
            ? fitClassConformal(kind.slice(PER_CLASS.length), fitOn, { alpha })
            : fitConformal(kind, fitOn, { alpha });
          const { offsets, members } = predictor.predict(probabilities);
          const sizes = Int32Array.from(labels, (_, i) => offsets[i + 1]! - offsets[i]!);
          const covered = Uint8Array.from(labels, (label, i) =>
            members.subarray(offsets[i]!, offsets[i + 1]!).includes(label) ? 1 : 0,
          );
          append(measured[k]!, id, {
            coverage: meanStatistic(covered, undefined, 'share'),
            size: meanStatistic(sizes, undefined, 'positive'),
            empty: meanStatistic(
              sizes.map((size) => (size === 0 ? 1 : 0)),
              undefined,
              'share',
            ),
          });
          append(worst[k]!, id, worstCoverage(covered, labels, classes));
          for (const warning of predictor.warnings) append(warnings[k]!, id, warning);
        }
      }
    return kinds.map((kind, k) => ({
      kind,
      alpha,
      calibrationSamples,
      methods: measureStatistics(measured[k]!, samples, options, judged.baseline).map((one) => ({
        ...one,
        worstClass: mean(worst[k]!.get(one.method)!),
        warnings: [...new Set(warnings[k]!.get(one.method))],
      })),
    }));
  },
  show(results, view) {
    return {
      blocks: [
        { figure: setFigure(view, results) },
        { table: setTable(view, results) },
        {
          notes: equalKinds(results).map(
            (kinds) =>
              `${list(kinds)} gave the same sets here for every method: the columns are equal because the sets are, not by mistake. RAPS adds its penalty from the sixth class of a set on; where no set is that large it is APS.`,
          ),
        },
        {
          notes: results.flatMap(({ kind, methods }) =>
            methods.flatMap(({ method, warnings }) =>
              warnings.map((text) => `${kindText(kind)}, ${view.name(method)}: ${text}`),
            ),
          ),
        },
      ],
      answers: [answer(view, results)],
    };
  },
};

/** The least share of a class's samples whose set holds it. */
function worstCoverage(covered: Uint8Array, labels: Int32Array, classes: number): number | null {
  const support = new Int32Array(classes);
  const hits = new Int32Array(classes);
  labels.forEach((label, i) => {
    support[label]!++;
    hits[label]! += covered[i]!;
  });
  const shares = Array.from(hits, (count, k) => count / support[k]!).filter((share) => !Number.isNaN(share));
  return shares.length === 0 ? null : Math.min(...shares);
}

function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((a, b) => a + b, 0) / known.length;
}

/** Every registered kind of sets, over all classes together or for each by itself. */
function kindNames(): string[] {
  return [...conformalMethods, ...conformalMethods.map((name) => `${PER_CLASS}${name}`)];
}

/** `LAC`, `LAC per class`, `ordinal`. */
function kindText(kind: string): string {
  if (kind.startsWith(PER_CLASS)) return `${kindText(kind.slice(PER_CLASS.length))} per class`;
  return kind.length <= 4 ? kind.toUpperCase() : kind;
}

function setFigure(view: View, results: readonly ConformalResult[]) {
  const panels = (figure: ShownFigure): ForestSpec[] =>
    results.map(({ kind, alpha, methods }) => ({
      figure,
      head: `${kindText(kind)}: ${figure === COVERAGE ? 'coverage (%)' : 'size ↓'}`,
      states: [{ what: kindText(kind), methods }],
      scale: figure.name,
      reference: figure === COVERAGE ? 1 - alpha : null,
      signs: figure !== COVERAGE,
      void: figure === SIZE ? (one: Measured) => !covers(one, alpha) : undefined,
    }));
  const { alpha, calibrationSamples } = results[0]!;
  return forestFigure(
    view,
    {
      file: 'conformal',
      title: 'Conformal prediction sets',
      note: `Sets calibrated on ${plural(calibrationSamples, 'validation image')} to hold the label in ${formatFigure(COVERAGE, 1 - alpha)} % (dashed). Coverage is measured on the judged split: it should reach the dashed line, and only then does a smaller set count as better. Panels of one kind of figure have one scale. ${view.intervalNote} ${view.signNote}`,
    },
    [COVERAGE, SIZE].flatMap((figure) => rowsOf(panels(figure))),
  );
}

/** At most four panels in a row. */
function rowsOf(specs: readonly ForestSpec[]): ForestSpec[][] {
  const rows = Math.ceil(specs.length / 4);
  const across = Math.ceil(specs.length / rows);
  return Array.from({ length: rows }, (_, r) => specs.slice(r * across, (r + 1) * across));
}

/** Whether a measured coverage is not below what was asked for beyond chance: else a small set is no merit. */
function covers({ figures }: Measured, alpha: number): boolean {
  const { high, value } = figures.coverage!;
  return (high ?? value ?? 0) >= 1 - alpha;
}

/** Kinds whose sets are the same for every method, as far as coverage and size tell. */
function equalKinds(results: readonly ConformalResult[]): string[][] {
  const groups = new Map<string, string[]>();
  for (const { kind, methods } of results)
    append(
      groups,
      JSON.stringify(
        methods.map(({ figures }) => [figures.coverage!.value, figures.size!.value, figures.empty!.value]),
      ),
      kindText(kind),
    );
  return [...groups.values()].filter((kinds) => kinds.length > 1);
}

function setTable(view: View, results: readonly ConformalResult[]) {
  const columns = results.flatMap(({ kind, alpha }) => {
    const group = `${kindText(kind)}, aim ${Number((100 * (1 - alpha)).toFixed(2))} %`;
    const column = (figure: ShownFigure, better: 'none' | 'lower' = 'none') =>
      columnOf(figure, { id: `${kind}_${figure.name}`, label: figure.label.toLowerCase(), group, better });
    return [
      column(COVERAGE),
      column(SIZE, 'lower'),
      column(EMPTY),
      columnOf(COVERAGE, { id: `${kind}_worst`, label: 'worst class', group, better: 'none' }),
    ];
  });
  const patients = view.judgement.groups
    ? ['The guarantee is for exchangeable images; several images of a patient count as fewer than they are.']
    : [];
  return methodTable(
    view,
    {
      id: 'conformal',
      title: view.title('conformal prediction sets'),
      caption: `Calibrated on ${plural(results[0]!.calibrationSamples, 'validation image')} of each run, measured on the judged ones. Coverage should be what was asked for; then the smaller the sets the better: a set size is called better or best only where its coverage does not lie below the aim beyond chance.`,
      notes: [
        ...tableNotes(view),
        ...patients,
        ...new Set(results.flatMap(({ methods }) => methods.flatMap(({ warnings }) => warnings))),
      ],
    },
    columns,
    view.ids.map((method) => ({
      method,
      cells: results.flatMap(({ methods, alpha }) => {
        const one = methods.find((other) => other.method === method);
        return [
          cellOf(one, 'coverage'),
          { ...cellOf(one, 'size'), ...(one && !covers(one, alpha) && { void: true }) },
          cellOf(one, 'empty'),
          plain(one?.worstClass ?? null),
        ];
      }),
    })),
  );
}

function answer(view: View, results: readonly ConformalResult[]): Answer {
  const remarks = results.map(({ kind, alpha, methods }): Remark => {
    const aim = 1 - alpha;
    const known = methods.filter(({ figures }) => figures.coverage!.high !== null);
    const below = known.filter(({ figures }) => figures.coverage!.high! < aim);
    const wanted = `${formatFigure(COVERAGE, aim)} %`;
    if (known.length === 0) return said(`${kindText(kind)}: the measured coverage has no interval.`);
    if (below.length === 0)
      return said(`${kindText(kind)}: no method’s measured coverage lies below ${wanted} beyond chance.`);
    return said(
      `${kindText(kind)}: measured coverage below ${wanted} beyond chance (${view.level} interval, not corrected) for ${list(below.map(({ method, figures }) => `${view.name(method)} (${formatFigure(COVERAGE, figures.coverage!.value)} %)`))}.`,
    );
  });
  return { question: 'Do conformal sets cover what they promise?', remarks };
}
