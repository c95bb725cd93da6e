import { z } from 'zod';
import { takeFindings, takeTargets } from '../../data/index.ts';
import type { Outputs } from '../../figures/index.ts';
import type { Floats } from '../../metrics/index.ts';
import { capital } from '../format.ts';
import { pickRows } from '../judged.ts';
import type { Context, Part } from '../part.ts';
import type { Measured } from '../shown.ts';
import { plain } from '../tables/table.ts';
import { cellOf, columnOf, methodTable, tableNotes, type View } from '../view.ts';
import { compareMethods, figuresOf, judgedOutputs } from './figures.ts';

/**
 * The images whose class, or which themselves, have one value of an attribute: all CT images, all of the knee. Or the
 * findings that have it, on all images: the rare ones.
 */
export interface StratumResult {
  /** `modality`. */
  readonly attribute: string;
  /** `CT`. */
  readonly value: string;
  readonly classes: number;
  /** Whether the attribute is the class's, each sample's or each finding's own. */
  readonly of: 'classes' | 'samples' | 'findings';
  /** Judged images of it. */
  readonly samples: number;
  readonly methods: readonly Measured[];
}

interface StrataSettings {
  readonly rareBelow: number;
}

/** The registered figures of each stratum that has a judged image, before calibration. */
export const strataPart: Part<readonly StratumResult[], StrataSettings> = {
  name: 'strata',
  title: 'Strata',
  kinds: ['one-of-k', 'findings'],
  settings: z
    .union([
      z.literal(false),
      z.strictObject({
        rareBelow: z
          .number()
          .gt(0)
          .lt(1)
          .default(0.05)
          .describe('Findings that fewer of the training images have are rare: the others are common.'),
      }),
    ])
    .default({ rareBelow: 0.05 })
    .describe('Figures of parts of the images or of the findings; false leaves them out.'),
  async measure(context) {
    const attributes = await attributesOf(context);
    const columns = columnAttributes(context);
    if (attributes.length === 0 && columns.length === 0)
      return { absent: 'nothing is known to divide them by', quiet: true };
    context.tell('strata');
    const results: StratumResult[] = [];
    for (const { attribute, of, values, at, classes } of attributes)
      for (const value of values) {
        const rows = Int32Array.from({ length: at.length }, (_, i) => i).filter((i) => at[i] === value);
        if (rows.length === 0) continue;
        const methods = await figuresAt(context, rows);
        results.push({ attribute, value, classes: classes(value), of, samples: rows.length, methods });
      }
    for (const { attribute, values } of columns)
      for (const value of new Set(values)) {
        const own = values.flatMap((one, k) => (one === value ? [k] : []));
        const { methods } = await compareMethods(context, async (run) =>
          columnsOf(await judgedOutputs(run), own),
        );
        const { targets } = await context.judged.methods[0]!.runs[0]!.judged();
        const samples = targets.values.length / targets.names.length;
        results.push({ attribute, value, classes: own.length, of: 'findings', samples, methods });
      }
    return results;
  },
  show(results, view) {
    const attributes = [...new Set(results.map(({ attribute }) => attribute))];
    return { blocks: attributes.map((attribute) => ({ table: stratumTable(view, results, attribute) })) };
  },
};

interface Attribute {
  readonly attribute: string;
  readonly of: StratumResult['of'];
  /** The different values, in order. */
  readonly values: readonly string[];
  /** The value of each judged row. */
  readonly at: readonly (string | undefined)[];
  /** How many classes have a value. */
  readonly classes: (value: string) => number;
}

async function attributesOf({ judged, indices }: Context<StrataSettings>): Promise<Attribute[]> {
  const { targets } = await judged.methods[0]!.runs[0]!.judged();
  const byClass = targets.kind === 'one-of-k' ? Object.entries(judged.strata ?? {}) : [];
  const bySample = Object.entries(judged.sampleStrata ?? {});
  const samples = targets.values.length / (targets.kind === 'one-of-k' ? 1 : targets.names.length);
  return [
    ...byClass.map(
      ([attribute, values]): Attribute => ({
        attribute,
        of: 'classes',
        values: [...new Set(values)],
        at: Array.from(targets.values, (label) => values[label]),
        classes: (value) => values.filter((one) => one === value).length,
      }),
    ),
    ...bySample.map(
      ([attribute, { codes, values }]): Attribute => ({
        attribute,
        of: 'samples',
        values: values.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })),
        at: Array.from({ length: samples }, (_, i) => values[codes[indices?.[i] ?? i]!]),
        classes: () => targets.names.length,
      }),
    ),
  ];
}

/** What each finding is, by what it tells: its strata, and whether it is rare. */
function columnAttributes({
  judged,
  settings,
}: Context<StrataSettings>): { attribute: string; values: readonly string[] }[] {
  if (judged.kind !== 'findings') return [];
  const { rareBelow } = settings;
  const frequency = judged.frequencies?.map((share) =>
    share < rareBelow ? `rare, below ${100 * rareBelow} %` : `common, ${100 * rareBelow} % or more`,
  );
  const given = Object.entries(judged.strata ?? {}).map(([attribute, values]) => ({ attribute, values }));
  return [
    ...given,
    ...(frequency === undefined ? [] : [{ attribute: 'frequency', values: frequency }]),
  ].filter(({ values }) => new Set(values).size > 1);
}

/** Some findings of outputs. */
function columnsOf(outputs: Outputs, columns: readonly number[]): Outputs {
  const { logits, indices, targets, probabilities, posterior, thresholds } = outputs;
  if (targets.kind !== 'findings') return outputs;
  const k = targets.names.length;
  const rows = targets.values.length / k;
  const pick = <A extends Floats>(values: A): A => {
    const picked = new (values.constructor as new (length: number) => A)(rows * columns.length);
    for (let i = 0, at = 0; i < rows; i++) for (const c of columns) picked[at++] = values[i * k + c]!;
    return picked;
  };
  return {
    targets: takeFindings(targets, columns),
    probabilities: pick(probabilities),
    ...(logits && { logits: pick(logits) }),
    ...(posterior && { posterior: pick(posterior) }),
    ...(thresholds && { thresholds: Float64Array.from(columns, (c) => thresholds[c]!) }),
    ...(indices && { indices }),
  };
}

async function figuresAt(context: Context<StrataSettings>, rows: Int32Array): Promise<readonly Measured[]> {
  const { groups, ...rest } = context.options;
  const own = groups && Int32Array.from(rows, (i) => groups[i]!);
  const some = { ...context, options: { ...rest, ...(own && { groups: own }) } };
  return (await compareMethods(some, async (run) => rowsOf(await run.judged(), rows))).methods;
}

/** Some rows of outputs, still over all classes. */
export function rowsOf(outputs: Outputs, rows: Int32Array): Outputs {
  const k = outputs.targets.names.length;
  const { logits, doubt, posterior, indices, targets, probabilities } = outputs;
  return {
    targets: takeTargets(targets, rows),
    probabilities: pickRows(probabilities, rows, k),
    ...(logits && { logits: pickRows(logits, rows, k) }),
    ...(doubt && { doubt: pickRows(doubt, rows, k) }),
    ...(posterior && { posterior: pickRows(posterior, rows, k) }),
    ...(indices && { indices: pickRows(indices, rows, 1) }),
  };
}

function stratumTable(view: View, results: readonly StratumResult[], attribute: string) {
  const strata = results.filter((one) => one.attribute === attribute);
  const figures = figuresOf(view, strata[0]!);
  return methodTable(
    view,
    {
      id: attribute,
      title: view.title(`by ${attribute}`),
      caption:
        strata[0]!.of === 'samples'
          ? `Samples of each ${attribute}, without a calibrator.`
          : strata[0]!.of === 'findings'
            ? `All images, means over the findings of each ${attribute}, without a calibrator; it is that of the training images.`
            : `Images whose class belongs to each ${attribute}, without a calibrator; balanced figures are over its classes.`,
      stubs: [capital(attribute)],
      notes: tableNotes(view),
    },
    [
      strata[0]!.of === 'findings'
        ? { id: 'findings', label: 'Findings', unit: 'count', better: 'none' }
        : { id: 'images', label: 'Images', unit: 'count', better: 'none' },
      ...figures.map((figure) => columnOf(figure)),
    ],
    strata.flatMap(({ value, samples, classes, of, methods }) =>
      methods.map((one) => ({
        method: one.method,
        stubs: [value],
        cells: [
          plain(of === 'findings' ? classes : samples),
          ...figures.map(({ name }) => cellOf(one, name)),
        ],
      })),
    ),
  );
}
