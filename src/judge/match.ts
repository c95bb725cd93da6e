import type { Targets } from '../data/targets.ts';
import { type Outputs, samplesOf } from '../figures/index.ts';
import type { Floats } from '../metrics/index.ts';
import { fileProblem, matchRows, type PredictionFile } from './read.ts';

/**
 * The outputs of `file` in the order of `first`: rows by id, columns by name.
 *
 * @throws PenumbraError `judge/classes` for other classes, `judge/ids` for other samples, `judge/labels` where the two
 *   say different things of the same sample
 */
export function alignTo(first: PredictionFile, file: PredictionFile): Outputs {
  const columns = columnsIn(first, file);
  const rows = matchRows(
    file.ids,
    samplesOf(file.outputs),
    file.file,
    first.ids,
    samplesOf(first.outputs),
    first.file,
  );
  const extra = samplesOf(file.outputs) - samplesOf(first.outputs);
  if (extra > 0) {
    throw fileProblem(
      'judge/ids',
      file.file,
      `it has ${extra} samples that ${first.file} has not`,
      'Methods are compared on the same samples: give files of the same split.',
    );
  }
  const aligned = take(file.outputs, rows, columns);
  const different = countDifferent(first.outputs.targets, aligned.targets);
  if (different > 0) {
    throw fileProblem(
      'judge/labels',
      file.file,
      `${different} labels are not those of ${first.file}${file.ids === undefined ? ', row by row (there are no ids)' : ', of the same ids'}`,
      file.ids === undefined
        ? 'Without ids rows must stand in the same order; write ids into both files.'
        : 'Both files must say the same of a sample; --labels FILE gives one truth for all.',
    );
  }
  // One array for all methods, so that nobody compares them again.
  return { ...aligned, targets: first.outputs.targets };
}

/** Where each class of `first` stands in `file`; `undefined` where the order is the same. */
export function columnsIn(first: PredictionFile, file: PredictionFile): number[] | undefined {
  const [a, b] = [first.outputs.targets, file.outputs.targets];
  if (a.kind !== b.kind) {
    throw fileProblem(
      'judge/classes',
      file.file,
      `it holds ${a.kind === 'one-of-k' ? 'findings, and' : 'one label of several classes, and'} ${first.file} ${a.kind === 'one-of-k' ? 'one label of several classes' : 'findings'}`,
      'Only predictions of the same task are compared.',
    );
  }
  const columns = a.names.map((name) => b.names.indexOf(name));
  const lacking = columns.filter((c) => c < 0).length;
  if (lacking > 0 || a.names.length !== b.names.length) {
    throw fileProblem(
      'judge/classes',
      file.file,
      `it has ${b.names.length} classes and ${first.file} ${a.names.length}; ${a.names.length - lacking} of them have the same name`,
      'The columns of both files must name the same classes, in any order.',
    );
  }
  return columns.every((c, k) => c === k) ? undefined : columns;
}

/** Rows and columns of outputs in another order. */
export function take(
  outputs: Outputs,
  rows: Int32Array | undefined,
  columns: readonly number[] | undefined,
): Outputs {
  if (rows === undefined && columns === undefined) return outputs;
  const { targets, probabilities, logits } = outputs;
  const k = targets.names.length;
  const pick = <A extends Floats | Uint8Array>(values: A): A => pickMatrix(values, k, rows, columns);
  return {
    targets: takeTargets(targets, rows, columns, pick),
    probabilities: pick(probabilities),
    ...(logits && { logits: pick(logits) }),
  };
}

function takeTargets(
  targets: Targets,
  rows: Int32Array | undefined,
  columns: readonly number[] | undefined,
  pick: <A extends Floats | Uint8Array>(values: A) => A,
): Targets {
  const names = columns === undefined ? targets.names : columns.map((c) => targets.names[c]!);
  if (targets.kind === 'findings') {
    return {
      kind: 'findings',
      names,
      values: pick(targets.values),
      ...(targets.mask && { mask: pick(targets.mask) }),
    };
  }
  const place = columns === undefined ? undefined : targets.names.map((_, own) => columns.indexOf(own));
  const { values } = targets;
  const picked = new Int32Array(rows?.length ?? values.length);
  for (let i = 0; i < picked.length; i++) {
    const y = values[rows?.[i] ?? i]!;
    picked[i] = place?.[y] ?? y;
  }
  return { kind: 'one-of-k', names, values: picked };
}

function pickMatrix<A extends Floats | Uint8Array>(
  values: A,
  k: number,
  rows: Int32Array | undefined,
  columns: readonly number[] | undefined,
): A {
  const n = rows?.length ?? values.length / k;
  const result = new (values.constructor as new (length: number) => A)(n * k);
  for (let i = 0; i < n; i++) {
    const from = (rows?.[i] ?? i) * k;
    if (columns === undefined) result.set(values.subarray(from, from + k), i * k);
    else for (let c = 0; c < k; c++) result[i * k + c] = values[from + columns[c]!]!;
  }
  return result;
}

function countDifferent(a: Targets, b: Targets): number {
  let different = 0;
  for (let at = 0; at < a.values.length; at++) {
    if (a.values[at] !== b.values[at]) different++;
    else if (a.kind === 'findings' && b.kind === 'findings' && (a.mask?.[at] ?? 1) !== (b.mask?.[at] ?? 1))
      different++;
  }
  return different;
}
