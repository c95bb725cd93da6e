import { PenumbraError } from '../errors.ts';
import { ByPath } from './by-path.ts';
import { makeSubset } from './subset.ts';
import type { Findings, Targets } from './targets.ts';
import type { Dataset, Subset } from './types.ts';

/**
 * The data set, its test split judged by the labels of another: for labels that are trained on and are not the truth, such
 * as those that a program took from reports, where better ones of the same images exist.
 *
 * Images are matched by the paths that both list, or else by their file names. Of findings, those that the other data do not
 * have are unknown in the test split. The other's true posterior is taken along where it has one.
 *
 * @throws {PenumbraError} `data/judge-by` where there is no test split, an image has no match, or the classes differ.
 */
export function judgedBy(dataset: Dataset, truth: Dataset): Dataset {
  const { test } = dataset.splits;
  const refuse = (what: string, hint: string) =>
    new PenumbraError('data/judge-by', `${dataset.name} cannot be judged by ${truth.name}: ${what}`, {
      where: { argument: 'judgeBy' },
      hint,
    });
  if (test === undefined) throw refuse('it has no test split', 'name a split test, or give it a share');
  if (dataset.kind !== truth.kind) {
    throw refuse('one has findings, the other one label of K', 'give labels of the same kind');
  }
  const columns = columnsIn(dataset, truth);
  const missing = dataset.classes.filter((_, k) => columns[k] < 0);
  if (missing.length === dataset.classes.length || (dataset.kind === 'one-of-k' && missing.length > 0)) {
    throw refuse(`it has no ${missing.slice(0, 3).join(', ')}`, `it has ${truth.classes.join(', ')}`);
  }
  const found = match(test, truth);
  const lost = found.indexOf(undefined);
  if (lost >= 0) {
    const many = found.filter((place) => place === undefined).length;
    throw refuse(
      `${many} of ${test.length} test images are not in it, ${test.nameOf(lost)} for example`,
      'give a table that lists every test image by the same path or file name',
    );
  }
  const places = found as Place[];
  const posterior = posteriorOf(places, columns);
  const judged = makeSubset({ ...test, targets: targetsOf(test, places, columns), posterior });
  const note =
    missing.length === 0
      ? `the test split is judged by the labels of ${truth.name}`
      : `the test split is judged by the labels of ${truth.name}, which has no ${missing.join(', ')}`;
  return { ...dataset, splits: { ...dataset.splits, test: judged }, notes: [...dataset.notes, note] };
}

/** A sample of the other data. */
interface Place {
  readonly subset: Subset;
  readonly index: number;
}

/** Where each class of the data stands among those of the other; −1 where it is not there. */
function columnsIn(dataset: Dataset, truth: Dataset): number[] {
  const known = new Map(truth.classes.map((name, k) => [name.toLowerCase(), k]));
  return dataset.classes.map((name) => known.get(name.toLowerCase()) ?? -1);
}

function match(test: Subset, truth: Dataset): (Place | undefined)[] {
  const places = new ByPath<Place>();
  for (const subset of Object.values(truth.splits)) {
    for (let index = 0; index < subset.length; index++) {
      const path = subset.nameOf(index);
      if (places.has(path)) {
        throw new PenumbraError('data/judge-by', `${truth.name} lists ${path} more than once`, {
          where: { file: path },
          hint: 'keep one label of each image',
        });
      }
      places.set(path, { subset, index });
    }
  }
  return Array.from({ length: test.length }, (_, i) => places.get(test.nameOf(i)));
}

function targetsOf(test: Subset, places: readonly Place[], columns: readonly number[]): Targets {
  const { targets } = test;
  if (targets.kind === 'one-of-k') {
    const back = new Map(columns.map((column, k) => [column, k]));
    const values = Int32Array.from(places, ({ subset, index }) => back.get(subset.labels[index])!);
    return { ...targets, values };
  }
  const k = columns.length;
  const values = new Float32Array(places.length * k);
  const mask = new Uint8Array(places.length * k);
  places.forEach(({ subset, index }, i) => {
    const { values: own, mask: known, names } = subset.targets as Findings;
    columns.forEach((column, c) => {
      if (column < 0) return;
      const at = index * names.length + column;
      values[i * k + c] = own[at];
      mask[i * k + c] = known === undefined ? 1 : known[at];
    });
  });
  // Doubt of what was trained on stays: it is what a report expressed.
  const { names, rates } = targets;
  return {
    kind: 'findings',
    names,
    values,
    ...(mask.includes(0) && { mask }),
    ...(rates && { rates }),
  };
}

/** N×K, or nothing where the truth of a class is not known. */
function posteriorOf(places: readonly Place[], columns: readonly number[]): Float32Array | undefined {
  if (columns.includes(-1) || places.some(({ subset }) => subset.posterior === undefined)) return undefined;
  const k = columns.length;
  const posterior = new Float32Array(places.length * k);
  places.forEach(({ subset, index }, i) => {
    const width = subset.classes.length;
    columns.forEach((column, c) => {
      posterior[i * k + c] = subset.posterior![index * width + column];
    });
  });
  return posterior;
}
