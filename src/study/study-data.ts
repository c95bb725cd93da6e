import { type Dataset, type OpenOptions, openDataset, type SplitName, type Subset } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { judgedSplit } from './cell.ts';
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
 * @throws what the data raise, with the set's name; `study/split`; `study/classes` where a centre has other classes
 */
export function openStudyData(study: StudySpec): OpenedSet[] {
  const opened = new Map<string, Dataset>();
  const open = (id: string, set: SetConfig, whole: boolean) => {
    const key = JSON.stringify([set, whole]);
    const known = opened.get(key) ?? within(id, () => openSet(set, whole));
    opened.set(key, known);
    return known;
  };
  return [...study.sets].map(([id, set]) => {
    const dataset = open(id, set, false);
    const split = within(id, () => judgedSplit(dataset, study.config.judge));
    return {
      id,
      path: set.path,
      dataset,
      split,
      calibration: split === 'val' ? undefined : dataset.splits.val,
      centres: [],
    };
  });
}

function openSet(set: SetConfig, whole: boolean): Dataset {
  const { path, splits, fractions, seed, group, root, columns, classes, phantom } = set;
  const options = {
    splits,
    fractions: fractions ?? (whole ? { val: 0, test: 0 } : undefined),
    seed,
    group,
    root,
    columns,
    classes,
    phantom,
  };
  return openDataset(path, defined(options) as OpenOptions);
}

/** Runs `work`; an error of the data says which set of the study it is about. */
function within<T>(id: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof PenumbraError)) throw cause;
    throw new PenumbraError(cause.code, `set ${id}: ${cause.message}`, {
      ...(cause.hint !== undefined && { hint: cause.hint }),
      where: { ...cause.where, set: id },
      cause,
    });
  }
}

/** Without what is undefined. */
function defined(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
