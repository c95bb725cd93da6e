import { type Outputs, samplesOf } from '../figures/index.ts';
import type { Floats } from '../metrics/index.ts';
import { type RowColumn, type RowPart, writeRows } from './rows-file.ts';

export interface WriteOptions {
  /** A name for sample i, unlike every other's. */
  readonly nameOf: (i: number) => string;
  /** N numbers of patients, where they are known: a column `group`, the last. */
  readonly groups?: ArrayLike<number> | undefined;
  /** N×K, where the outputs' probabilities were calibrated: what the networks said themselves. */
  readonly own?: Floats | undefined;
  /** What was read: the file must be none of it. */
  readonly inputs?: readonly string[];
}

/** A column with its cells; `i` counts the samples of the part that is being written. */
export interface CellColumn<T> extends RowColumn {
  readonly cell: (of: T, i: number) => string | number | null;
}

/** What was said of some samples. */
export interface Said {
  /** n×K, row-major: the answer. */
  readonly probabilities: Floats;
  /** n×K: what the networks said before calibration; the same array where nothing was calibrated. */
  readonly own: Floats;
  /** n×K: the doubt that a report is expected to express, where it was predicted. */
  readonly doubt?: Floats | undefined;
}

/**
 * The columns that say what was predicted, of evaluated and of new images alike.
 *
 * One label of K: `predicted`, `p_<class>` for each, `confidence` (the networks' own probability of their likeliest class)
 * and, where there is a calibrator, `calibrated_confidence` (the greatest `p_`). Findings: `p_<finding>` for each, where
 * there is a calibrator `uncalibrated_<finding>`, and where doubt is predicted `doubt_<finding>`.
 */
export function saidColumns(
  kind: Outputs['targets']['kind'],
  names: readonly string[],
  has: { readonly calibrated: boolean; readonly doubt: boolean },
): CellColumn<Said>[] {
  const k = names.length;
  const each = (before: string, of: 'probabilities' | 'own' | 'doubt') =>
    names.map((name, c): CellColumn<Said> => {
      return { name: `${before}_${name}`, type: 'FLOAT', cell: (said, i) => said[of]![i * k + c]! };
    });
  if (kind === 'findings')
    return [
      ...each('p', 'probabilities'),
      ...(has.calibrated ? each('uncalibrated', 'own') : []),
      ...(has.doubt ? each('doubt', 'doubt') : []),
    ];
  const best = (values: Floats, i: number) => {
    let most = 0;
    for (let c = 1; c < k; c++) if (values[i * k + c]! > values[i * k + most]!) most = c;
    return most;
  };
  const greatest = (values: Floats, i: number) => values[i * k + best(values, i)]!;
  return [
    { name: 'predicted', type: 'STRING', cell: (said, i) => names[best(said.probabilities, i)]! },
    ...each('p', 'probabilities'),
    { name: 'confidence', type: 'FLOAT', cell: ({ own }, i) => greatest(own, i) },
    ...(has.calibrated
      ? [
          {
            name: 'calibrated_confidence',
            type: 'FLOAT',
            cell: ({ probabilities }: Said, i: number) => greatest(probabilities, i),
          } as const,
        ]
      : []),
  ];
}

/** Some rows of such columns. */
export function partOf<T>(columns: readonly CellColumn<T>[], of: T, rows: number): RowPart {
  return { rows, cell: (c, i) => columns[c]!.cell(of, i) };
}

/**
 * Writes predictions as `judge` reads them, one row a sample: `name`, what is true (`label`, or `y_<finding>`, blank where
 * it is not known), what was predicted (see {@link saidColumns}) and, where it is known, the `group`.
 */
export async function writePredictions(path: string, outputs: Outputs, options: WriteOptions): Promise<void> {
  const { nameOf, groups, own, inputs } = options;
  const { targets, probabilities, doubt } = outputs;
  const columns: CellColumn<Said>[] = [
    { name: 'name', type: 'STRING', cell: (_, i) => nameOf(i) },
    ...truthColumns(targets),
    ...saidColumns(targets.kind, targets.names, {
      calibrated: own !== undefined,
      doubt: doubt !== undefined,
    }),
    // Last, where nobody who counts columns stumbles over it.
    ...(groups === undefined
      ? []
      : [{ name: 'group', type: 'INT32', cell: (_: Said, i: number) => groups[i]! } as const]),
  ];
  const said = { probabilities, own: own ?? probabilities, doubt };
  await writeRows(path, columns, [partOf(columns, said, samplesOf(outputs))], inputs);
}

function truthColumns(targets: Outputs['targets']): CellColumn<Said>[] {
  const { names } = targets;
  if (targets.kind === 'one-of-k') {
    const { values } = targets;
    return [{ name: 'label', type: 'STRING', cell: (_, i) => names[values[i]!]! }];
  }
  const { values, mask } = targets;
  const k = names.length;
  return names.map((name, c) => ({
    name: `y_${name}`,
    type: 'FLOAT',
    cell: (_, i) => ((mask?.[i * k + c] ?? 1) === 1 ? values[i * k + c]! : null),
  }));
}
