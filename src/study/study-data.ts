import {
  checkImages,
  checkNotEmpty,
  type Dataset,
  mapClasses,
  type OpenOptions,
  openDataset,
  type SplitName,
  type Subset,
  selectSites,
  withoutDuplicates,
} from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import type { StudySpec } from './study-file.ts';
import type { SetConfig } from './study-schema.ts';

/** A data set of a study, opened: what trains and what judges. */
export interface OpenedSet {
  readonly id: string;
  /** As the study file names it. */
  readonly path: string;
  readonly dataset: Dataset;
  /** The split that judges. */
  readonly split: SplitName;
  /** What calibrators are fitted on; undefined where there is none, or where it is what judges. */
  readonly calibration: Subset | undefined;
  /** Where the set's networks are tested besides. */
  readonly centres: readonly OpenedCentre[];
}

/** Images of another centre, with the classes of the set whose networks are tested there. */
export interface OpenedCentre {
  readonly name: string;
  /** `site`: other sites of the same data set; `set`: a data set of its own. */
  readonly kind: 'site' | 'set';
  readonly subset: Subset;
}

/**
 * Opens every data set and centre of a study, so that whatever is wrong with one is known before anything is trained.
 * @throws what the data raise, with the set's or centre's name; `study/split`; `study/config`
 */
export async function openStudyData(study: StudySpec): Promise<OpenedSet[]> {
  const opened = new Map<string, Dataset>();
  const open = async (set: SetConfig, whole: boolean) => {
    const key = JSON.stringify([set, whole]);
    const known = opened.get(key) ?? (await openSet(set, whole));
    opened.set(key, known);
    return known;
  };
  const sets: OpenedSet[] = [];
  for (const [id, set] of study.sets)
    sets.push(await within(`set ${id}`, () => openOne(study, id, set, open)));
  return sets;
}

async function openOne(
  study: StudySpec,
  id: string,
  set: SetConfig,
  open: (set: SetConfig, whole: boolean) => Promise<Dataset>,
): Promise<OpenedSet> {
  const all = await open(set, false);
  const mapped = set.classMap === undefined ? all : mapClasses(all, set.classMap);
  const split = judgedSplit(mapped, study.config.judge);
  const { dataset, centres } = divideSites(mapped, set.sites, split);
  if (dataset.splits.train === undefined) {
    throw new PenumbraError('training/no-train-split', `${dataset.name} has no training split`, {
      hint: 'name a split "train", or let fractions divide the data',
    });
  }
  const others: OpenedCentre[] = [];
  for (const centre of study.centres.filter((one) => one.for.includes(id)))
    others.push(
      await within(`centre ${centre.name}`, async () => ({
        name: centre.name,
        kind: 'set',
        subset: centreSubset(await open(centre.set, true), centre, dataset.classes),
      })),
    );
  return {
    id,
    path: set.path,
    dataset,
    split,
    calibration: split === 'val' ? undefined : dataset.splits.val,
    centres: [...centres, ...others],
  };
}

/** The data of the sites that train, and the judged split of each other site. */
function divideSites(
  dataset: Dataset,
  choice: SetConfig['sites'],
  split: SplitName,
): { dataset: Dataset; centres: OpenedCentre[] } {
  if (choice === undefined) return { dataset, centres: [] };
  const all = dataset.sites ?? [];
  const train = choice.train ?? all.filter((site) => !choice.test?.includes(site));
  const own = Object.keys(dataset.splits).map((name) => [name, train]);
  const inside = selectSites(dataset, Object.fromEntries(own));
  const both = choice.test?.find((site) => train.includes(site));
  if (both !== undefined) {
    throw new PenumbraError('study/config', `site ${both} is to train and to test`, {
      hint: 'in-centre figures are always there; name other sites under `test`',
      where: { site: both },
    });
  }
  const test = choice.test ?? all.filter((site) => !train.includes(site));
  const centres = test.map(
    (site): OpenedCentre => ({
      name: site,
      kind: 'site',
      subset: selectSites(dataset, { [split]: [site] }).splits[split]!,
    }),
  );
  return { dataset: inside, centres };
}

/** What a centre is judged on, in the classes of the set whose networks are tested there. */
function centreSubset(
  dataset: Dataset,
  { set, split }: StudySpec['centres'][number],
  classes: readonly string[],
): Subset {
  // Equal names mean equal classes.
  const map = set.classMap ?? Object.fromEntries(dataset.classes.map((name) => [name, name]));
  const mapped = mapClasses(dataset, map, classes);
  const judged = split ?? (['test', 'val', 'train'] as const).find((name) => mapped.splits[name])!;
  if (mapped.splits[judged] === undefined) {
    throw new PenumbraError('study/split', `${dataset.name} has no split '${judged}' to judge on`, {
      hint: `it has: ${Object.keys(mapped.splits).join(', ')}`,
    });
  }
  if (set.sites === undefined) return mapped.splits[judged]!;
  if (set.sites.train !== undefined || set.sites.test === undefined) {
    throw new PenumbraError('study/config', 'a centre trains nothing: its sites go under `test`');
  }
  return selectSites(mapped, { [judged]: set.sites.test }).splits[judged]!;
}

async function openSet(set: SetConfig, whole: boolean): Promise<Dataset> {
  const { path, sites: _, classMap: __, ...options } = set;
  const dataset = openDataset(
    path,
    defined({
      ...options,
      // A centre's images are judged together, unless its file or `fractions` divide them.
      fractions: set.fractions ?? (whole ? { val: 0, test: 0 } : undefined),
    }) as OpenOptions,
  );
  if (!set.skipDuplicates || dataset.format === 'phantom') return dataset;
  const kept = withoutDuplicates(dataset, await checkImages(dataset, { most: Number.POSITIVE_INFINITY }));
  checkNotEmpty(kept);
  return kept;
}

/** Runs `work`; an error of the data says what of the study it is about. */
async function within<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof PenumbraError)) throw cause;
    throw new PenumbraError(cause.code, `${what}: ${cause.message}`, {
      ...(cause.hint !== undefined && { hint: cause.hint }),
      where: cause.where,
      cause,
    });
  }
}

/** Without what is undefined. */
function defined(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** The split that is asked for, or test where there is one, else val. @throws `study/split` */
export function judgedSplit(dataset: Dataset, wanted: SplitName | undefined): SplitName {
  const split = wanted ?? (dataset.splits.test ? 'test' : 'val');
  if (dataset.splits[split] === undefined) {
    throw new PenumbraError('study/split', `${dataset.name} has no split '${split}' to judge on`, {
      hint: `it has: ${Object.keys(dataset.splits).join(', ')}`,
    });
  }
  return split;
}
