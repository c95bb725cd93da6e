import { z } from 'zod';
import {
  conformalMethods,
  fitConformal,
  fitShift,
  fitWeightedConformal,
  type PredictionSets,
} from '../../calibration/index.ts';
import {
  formatFigure,
  meanStatistic,
  measureStatistics,
  predictionsOf,
  type Statistic,
} from '../../figures/index.ts';
import type { Predictions } from '../../metrics/index.ts';
import { list, plural } from '../format.ts';
import { append } from '../measure.ts';
import { type Part, registeredName } from '../part.ts';
import type { Measured } from '../shown.ts';
import { plain } from '../tables/table.ts';
import { type Answer, cellOf, columnOf, methodTable, said, tableNotes, type View } from '../view.ts';
import { COVERAGE, SIZE } from './set-figures.ts';

/** Conformal sets in another centre: as they were calibrated at home, and with calibration images weighted for the shift. */
export interface ShiftResult {
  readonly centre: string;
  readonly kind: string;
  /** Miscoverage asked for. */
  readonly alpha: number;
  readonly calibrationSamples: number;
  /** Images there. */
  readonly samples: number;
  readonly methods: readonly (Measured & {
    /** What the weighted calibration images are worth, (Σw)²/Σw², mean over runs. */
    readonly effectiveSamples: number;
    readonly warnings: readonly string[];
  })[];
}

interface ShiftSettings {
  readonly methods: readonly string[];
  readonly alpha: number;
}

const WEIGHTED = { ...COVERAGE, name: 'weightedCoverage', label: 'Coverage, weighted' };
const WEIGHTED_SIZE = { ...SIZE, name: 'weightedSize', label: 'Set size, weighted' };

/**
 * Weighted conformal prediction (Tibshirani et al., NeurIPS 2019). The density ratio is a logistic regression's that tells
 * validation images from the centre's by what the network says of them: a set depends on nothing else, so that weights
 * over its probabilities are enough where P(label | probabilities) is the same in both. Its weights for one half of the
 * centre's images come from the other half. No label of the centre is looked at; where the labels themselves are shifted
 * (another prevalence at equal images), no such weight mends it, which is what the table shows then.
 */
export const shiftPart: Part<readonly ShiftResult[], ShiftSettings> = {
  name: 'shift',
  title: 'Conformal sets in other centres',
  kinds: ['one-of-k'],
  settings: z
    .union([
      z.literal(false),
      z.strictObject({
        methods: z
          .array(registeredName(() => conformalMethods))
          .min(1)
          .default(['lac'])
          .describe('Kinds of sets.'),
        alpha: z.number().gt(0).lt(1).default(0.1).describe('Share of sets that may miss.'),
      }),
    ])
    .prefault({})
    .describe('Conformal sets in other centres, weighted for the shift; false for none.')
    .meta({ examples: [{ methods: ['lac'], alpha: 0.1 }, false] }),
  async measure({ judged, settings, options, tell }) {
    const { methods, centres = [] } = judged;
    if (centres.length === 0) return { absent: 'no other centre was named', quiet: true };
    if (methods.some(({ runs }) => runs.some(({ validation }) => validation === undefined)))
      return { absent: judged.noValidation ?? 'there are no validation outputs to calibrate on' };
    const { groups: _, ...rest } = options;
    const results: ShiftResult[] = [];
    for (const centre of centres)
      for (const kind of settings.methods) {
        tell(`conformal sets in ${centre.name}`);
        const measured = new Map<string, Record<string, Statistic>[]>();
        const worth = new Map<string, number[]>();
        const warnings = new Map<string, string[]>();
        let groups: Int32Array | undefined;
        let samples = 0;
        let calibrationSamples = 0;
        for (const { id, runs } of methods)
          for (const run of runs) {
            const fitOn = predictionsOf(await run.validation!());
            const outputs = await run.network!.centre!(centre.name);
            const there = predictionsOf(outputs);
            samples = there.labels.length;
            calibrationSamples = fitOn.labels.length;
            groups =
              centre.groups &&
              Int32Array.from(there.labels, (_label, i) => centre.groups![outputs.indices?.[i] ?? i]!);
            const plainSets = fitConformal(kind, fitOn, settings).predict(there.probabilities);
            const { sets, effective, texts } = weightedSets(kind, fitOn, there, groups, settings);
            append(measured, id, {
              ...statisticsOf([plainSets], there.labels, [COVERAGE.name, SIZE.name]),
              ...statisticsOf(sets, there.labels, [WEIGHTED.name, WEIGHTED_SIZE.name]),
            });
            append(worth, id, effective);
            for (const text of texts) append(warnings, id, text);
          }
        const there = { ...rest, ...(groups && { groups }) };
        results.push({
          centre: centre.name,
          kind,
          alpha: settings.alpha,
          calibrationSamples,
          samples,
          methods: measureStatistics(measured, samples, there, judged.baseline).map((one) => ({
            ...one,
            effectiveSamples: meanOf(worth.get(one.method)!),
            warnings: [...new Set(warnings.get(one.method))],
          })),
        });
      }
    return results;
  },
  show: (results, view) => ({
    blocks: [{ table: shiftTable(view, results) }],
    answers: results.map((result) => answer(view, result)),
  }),
};

/** Sets of some of the samples: which, and theirs. */
interface Half {
  readonly rows: readonly number[];
  readonly sets: PredictionSets;
}

function weightedSets(
  kind: string,
  fitOn: Predictions,
  there: Predictions,
  groups: Int32Array | undefined,
  settings: ShiftSettings,
): { sets: Half[]; effective: number; texts: string[] } {
  const { classes } = fitOn;
  const [here, away] = [featuresOf(fitOn), featuresOf(there)];
  const width = here.length / fitOn.labels.length;
  const halves: [number[], number[]] = [[], []];
  // Patients stay together.
  for (let i = 0; i < there.labels.length; i++) halves[(groups?.[i] ?? i) & 1]!.push(i);
  const effective: number[] = [];
  const texts: string[] = [];
  const sets = halves.flatMap((rows, h): Half[] => {
    const others = halves[1 - h]!;
    if (rows.length === 0) return [];
    const shift = fitShift(here, rowsOf(away, others.length > 0 ? others : rows, width), width);
    const predictor = fitWeightedConformal(kind, fitOn, shift.weights(here), settings);
    effective.push(predictor.effectiveSamples);
    texts.push(...predictor.warnings);
    const own = rowsOf(there.probabilities, rows, classes);
    return [{ rows, sets: predictor.predict(own, shift.weights(rowsOf(away, rows, width))) }];
  });
  return { sets, effective: meanOf(effective), texts };
}

/** So many of the greatest probabilities tell centres apart, and the classes themselves where they are no more than twice that. */
const GREATEST = 5;

/**
 * What a network says of N images, N×D: the greatest log-probabilities in falling order and the entropy, which tell sure
 * from unsure whatever the class, and of few classes the log-odds of each against the last. More would be noise.
 */
function featuresOf({ probabilities, classes, labels }: Predictions): Float64Array {
  const logs = Float64Array.from(probabilities, (p) => Math.log(Math.max(p, 1e-12)));
  const greatest = Math.min(classes - 1, GREATEST);
  const odds = classes <= 2 * GREATEST ? classes - 1 : 0;
  const width = greatest + 1 + odds;
  const result = new Float64Array(labels.length * width);
  for (let i = 0, at = 0; i < labels.length; i++, at += width) {
    const row = logs.subarray(i * classes, (i + 1) * classes);
    result.set(row.toSorted().reverse().subarray(0, greatest), at);
    let entropy = 0;
    for (const log of row) entropy -= Math.exp(log) * log;
    result[at + greatest] = entropy;
    for (let k = 0; k < odds; k++) result[at + greatest + 1 + k] = row[k]! - row[classes - 1]!;
  }
  return result;
}

function rowsOf<A extends Float32Array | Float64Array>(values: A, rows: readonly number[], width: number): A {
  const picked = new (values.constructor as new (length: number) => A)(rows.length * width);
  rows.forEach((row, i) => {
    picked.set(values.subarray(row * width, (row + 1) * width), i * width);
  });
  return picked;
}

function statisticsOf(
  parts: readonly (Half | PredictionSets)[],
  labels: Int32Array,
  [coverage, size]: readonly [string, string],
): Record<string, Statistic> {
  const covered = new Uint8Array(labels.length);
  const sizes = new Int32Array(labels.length);
  for (const part of parts) {
    const { sets, rows } = 'sets' in part ? part : { sets: part, rows: [...labels.keys()] };
    rows.forEach((row, i) => {
      const members = sets.members.subarray(sets.offsets[i]!, sets.offsets[i + 1]!);
      covered[row] = members.includes(labels[row]!) ? 1 : 0;
      sizes[row] = members.length;
    });
  }
  return {
    [coverage]: meanStatistic(covered, undefined, 'share'),
    [size]: meanStatistic(sizes, undefined, 'positive'),
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function shiftTable(view: View, results: readonly ShiftResult[]) {
  const { alpha, calibrationSamples } = results[0]!;
  return methodTable(
    view,
    {
      id: 'shift',
      title: view.title('conformal sets in other centres'),
      caption: `Sets that promise ${formatFigure(COVERAGE, 1 - alpha)} %, calibrated on ${plural(calibrationSamples, 'validation image')} of the training centre: as they are, and with these weighted by how likely the network’s answers to them are in the other centre (weighted conformal prediction). Weights look at no label; they mend a shift of images, not one of labels. Worth: how many unweighted images the weighted ones are worth.`,
      stubs: ['Centre', 'Sets'],
      notes: [
        ...tableNotes(view),
        ...new Set(results.flatMap(({ methods }) => methods.flatMap(({ warnings }) => warnings))),
      ],
    },
    [
      ...[COVERAGE, WEIGHTED, SIZE, WEIGHTED_SIZE].map((figure) => columnOf(figure, { better: 'none' })),
      columnOf(SIZE, { id: 'worth', label: 'worth', better: 'none' }),
    ],
    results.flatMap(({ centre, kind, methods }) =>
      methods.map((one) => ({
        method: one.method,
        stubs: [centre, kind.toUpperCase()],
        cells: [
          ...[COVERAGE, WEIGHTED, SIZE, WEIGHTED_SIZE].map(({ name }) => cellOf(one, name)),
          plain(one.effectiveSamples),
        ],
      })),
    ),
  );
}

function answer(view: View, { centre, kind, alpha, methods }: ShiftResult): Answer {
  const aim = 1 - alpha;
  const wanted = `${formatFigure(COVERAGE, aim)} %`;
  const short = (name: string) => {
    const below = methods.filter(({ figures }) => figures[name]!.high !== null && figures[name]!.high < aim);
    return below.length === 0
      ? `for no method below ${wanted} beyond chance`
      : `below ${wanted} beyond chance for ${list(below.map(({ method, figures }) => `${view.name(method)} (${formatFigure(COVERAGE, figures[name]!.value)} %)`))}`;
  };
  return {
    question: `Do conformal sets hold in ${centre}?`,
    remarks: [
      said(`${kind.toUpperCase()} as calibrated at home: ${short(COVERAGE.name)}.`),
      said(`Weighted for the shift: ${short(WEIGHTED.name)}.`),
    ],
  };
}
