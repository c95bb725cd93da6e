import { PenumbraError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { indicesWhere } from './samples.ts';
import { makeSubset, narrowSubset } from './subset.ts';
import type { Findings, LabelErrors } from './targets.ts';
import type { Dataset, Subset } from './types.ts';

/** For each class of a data set the class that it becomes; `null` leaves its samples out. */
export type ClassMap = Readonly<Record<string, string | null>>;

/**
 * The data set in other classes: several may become one, and some may be left out, so that sets which name and divide
 * their classes differently can be trained on and judged together.
 *
 * The true posterior, where it is known, follows: columns of merged classes add up, and what is left out divides away,
 * P(class | image, class kept) = p_class / Σ_kept p, which is exact since samples are left out by their label. A class
 * of sources in several strata is in the stratum of all their names (`CT + MR`).
 *
 * Findings are mapped likewise: of several that become one, it is present where any is, absent where all are known to be,
 * and else unknown (a y between follows as the largest; a rate goes with the y that was taken); `null` leaves the finding
 * out, and no sample. One of `classes` that none becomes is unknown throughout.
 *
 * @param classes the classes of the result, in order: those of the data set that was trained on. Default: the targets
 * in the order of their first sources.
 * @throws {PenumbraError} `data/class-map` for a class without a key, a key that is no class, a target that is not
 * among `classes` (the nearest name is given) or fewer than two classes; `data/empty-split` for a split of which nothing
 * is left.
 */
export function mapClasses(dataset: Dataset, map: ClassMap, classes?: readonly string[]): Dataset {
  const { name, strata } = dataset;
  const targets = checkedTargets(dataset, map, classes);
  const into = classes ?? [...new Set(targets.filter((target) => target !== null))];
  if (new Set(into).size < into.length) {
    throw mapError(name, 'two of the classes to map to have the same name', { hint: 'name each once' });
  }
  if (into.length < (dataset.kind === 'findings' ? 1 : 2)) {
    throw mapError(name, `the map leaves ${into.length} classes of ${name}; two or more are needed`, {
      hint: 'map the classes to at least two',
    });
  }
  const numbers = Int32Array.from(targets, (target) => (target === null ? -1 : into.indexOf(target)));
  const subsets = Object.values(dataset.splits).map((subset) => mapSubset(name, subset, into, numbers));
  return {
    ...dataset,
    classes: into,
    strata:
      strata &&
      Object.fromEntries(
        Object.entries(strata).map(([division, names]) => [
          division,
          mergeStrata(names, numbers, into.length),
        ]),
      ),
    splits: Object.fromEntries(subsets.map((subset) => [subset.split, subset])),
  };
}

/** The target of each class, in order. */
function checkedTargets(
  { name, classes: sources }: Dataset,
  map: ClassMap,
  classes: readonly string[] | undefined,
): (string | null)[] {
  for (const key of Object.keys(map)) {
    if (sources.includes(key)) continue;
    throw mapError(name, `the class map of ${name} has a key '${key}', which is none of its classes`, {
      where: { class: key },
      hint: `did you mean '${nearest(key, sources)}'?`,
    });
  }
  const holes = sources.filter((source) => !Object.hasOwn(map, source));
  if (holes.length > 0) {
    const few = holes.slice(0, 5).join(', ') + (holes.length > 5 ? ', …' : '');
    throw mapError(
      name,
      `the class map of ${name} has no key for ${holes.length} of its ${sources.length} classes: ${few}`,
      {
        where: { class: holes[0], missing: holes.length },
        hint: 'map each of them to a class, or to null to leave its samples out',
      },
    );
  }
  for (const source of sources) {
    const target = map[source];
    if (target === null || classes === undefined || classes.includes(target)) continue;
    throw mapError(name, `the class map of ${name} sends ${source} to '${target}', which is no class here`, {
      where: { class: source },
      hint: `did you mean '${nearest(target, classes)}'? the classes are ${classes.slice(0, 8).join(', ')}${classes.length > 8 ? ', …' : ''}`,
    });
  }
  return sources.map((source) => map[source]);
}

function mapSubset(name: string, subset: Subset, into: readonly string[], numbers: Int32Array): Subset {
  if (subset.targets.kind === 'findings') {
    return makeSubset({ ...subset, targets: mapFindings(subset.targets, into, numbers) });
  }
  const { values: labels } = subset.targets;
  const kept = narrowSubset(
    subset,
    indicesWhere(subset.length, (i) => numbers[labels[i]] >= 0),
  );
  if (kept.length === 0) {
    throw new PenumbraError(
      'data/empty-split',
      `${name}: the class map leaves no sample of split ${subset.split}`,
      { where: { data: name, split: subset.split }, hint: 'keep more of its classes' },
    );
  }
  return makeSubset({
    ...kept,
    targets: { kind: 'one-of-k', names: into, values: kept.labels.map((label) => numbers[label]) },
    posterior: kept.posterior && mapPosterior(name, kept, kept.posterior, numbers, into.length),
  });
}

function mapFindings(findings: Findings, into: readonly string[], numbers: Int32Array): Findings {
  const { names, values, mask, rates, errors } = findings;
  const [k, m] = [names.length, into.length];
  const n = values.length / k;
  const mapped = new Float32Array(n * m);
  const known = new Uint8Array(n * m);
  const smooth = rates && new Float32Array(n * m);
  for (let c = 0; c < m; c++) {
    const sources = names.flatMap((_, source) => (numbers[source] === c ? [source] : []));
    if (sources.length === 0) continue;
    for (let i = 0; i < n; i++) {
      let best = -1;
      let all = true;
      for (const source of sources) {
        const at = i * k + source;
        if (mask !== undefined && mask[at] === 0) all = false;
        else if (best < 0 || values[at] > values[best]) best = at;
      }
      // One that is unknown may be present, unless another is present anyway.
      if (best < 0 || (!all && values[best] < 1)) continue;
      known[i * m + c] = 1;
      mapped[i * m + c] = values[best];
      if (smooth) smooth[i * m + c] = rates[best];
    }
  }
  return {
    kind: 'findings',
    names: into,
    values: mapped,
    ...(known.includes(0) && { mask: known }),
    ...(smooth && { rates: smooth }),
    ...(errors && { errors: into.map((_, c) => mapErrors(errors, numbers, c)) }),
  };
}

/** The errors of the finding that is the only source; of several together nothing was measured: the least of each. */
function mapErrors(errors: readonly LabelErrors[], numbers: Int32Array, into: number): LabelErrors {
  const sources = errors.filter((_, source) => numbers[source] === into);
  const least = (kind: keyof LabelErrors) =>
    sources.length === 0 ? 0 : Math.min(...sources.map((one) => one[kind]));
  return { falsePositive: least('falsePositive'), miss: least('miss'), hedged: least('hedged') };
}

function mapPosterior(
  name: string,
  { split, length, nameOf }: Subset,
  posterior: Float32Array,
  numbers: Int32Array,
  classes: number,
): Float32Array {
  const mapped = new Float32Array(length * classes);
  const sums = new Float64Array(classes);
  for (let i = 0; i < length; i++) {
    sums.fill(0);
    let total = 0;
    for (let k = 0; k < numbers.length; k++) {
      if (numbers[k] < 0) continue;
      const p = posterior[i * numbers.length + k];
      sums[numbers[k]] += p;
      total += p;
    }
    if (total === 0) {
      throw new PenumbraError(
        'data/posterior',
        `${name}: the posterior of ${nameOf(i)} leaves nothing for the classes that the map keeps`,
        { where: { data: name, split, row: i }, hint: 'keep the classes that are possible for it' },
      );
    }
    for (let k = 0; k < classes; k++) mapped[i * classes + k] = sums[k] / total;
  }
  return mapped;
}

/** The strata of the new classes; `none` for a class that has no source here. */
function mergeStrata(names: readonly string[], numbers: Int32Array, classes: number): string[] {
  const merged = Array.from({ length: classes }, () => new Set<string>());
  names.forEach((stratum, k) => {
    if (numbers[k] >= 0) merged[numbers[k]].add(stratum);
  });
  return merged.map((strata) => [...strata].join(' + ') || 'none');
}

function mapError(
  name: string,
  message: string,
  { where, hint }: { where?: Record<string, string | number>; hint: string },
): PenumbraError {
  return new PenumbraError('data/class-map', message, { where: { data: name, ...where }, hint });
}
