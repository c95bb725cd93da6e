import { PenumbraError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { indicesWhere } from './samples.ts';
import { checkLearnable } from './split.ts';
import { narrowSubset } from './subset.ts';
import { type Dataset, SPLIT_NAMES, type SplitName } from './types.ts';

/** For each split, the sites whose samples it keeps. */
export type SiteChoice = Readonly<Partial<Record<SplitName, readonly string[]>>>;

/**
 * A data set of the samples of some sites: `{ train: ['A', 'B'], val: ['A', 'B'], test: ['C'] }` trains at two centres
 * and tests at a third. Splits that are not named are left out. A sample stays in its split: the in-centre test is the
 * test split of the training sites, the out-of-centre test that of other sites.
 *
 * @throws {PenumbraError} `data/site` where the sites are not known or a name is not among them (the nearest is named),
 * `data/no-split` for a split that is not there, `data/empty-split` for one that nothing is left of, and
 * `data/missing-class` where a class has no training sample left.
 */
export function selectSites(dataset: Dataset, choice: SiteChoice): Dataset {
  const { name, sites, classes } = dataset;
  if (sites === undefined) {
    throw new PenumbraError('data/site', `${name} does not say which site its samples come from`, {
      where: { data: name, argument: 'site' },
      hint: 'add a column `site` to its table, or give an expression on the file path as `site`',
    });
  }
  const subsets = SPLIT_NAMES.flatMap((split) => {
    const wanted = choice[split];
    if (wanted === undefined) return [];
    const subset = dataset.splits[split];
    if (subset === undefined) {
      throw new PenumbraError('data/no-split', `${name} has no split ${split}`, {
        where: { data: name, split },
        hint: `it has ${Object.keys(dataset.splits).join(', ')}`,
      });
    }
    const keep = siteFlags(name, sites, split, wanted);
    const kept = narrowSubset(
      subset,
      indicesWhere(subset.length, (i) => keep[subset.sites![i]] === 1),
    );
    if (kept.length === 0) {
      throw new PenumbraError(
        'data/empty-split',
        `${name}: split ${split} has no samples of ${wanted.join(', ') || 'no site'}`,
        { where: { data: name, split }, hint: 'name other sites, or take the split out of the choice' },
      );
    }
    return kept;
  });
  const train = subsets.find(({ split }) => split === 'train');
  const labels = train?.targets.kind === 'one-of-k' ? train.targets.values : undefined;
  const missing = labels && classes.find((_, k) => !labels.includes(k));
  if (missing !== undefined) {
    throw new PenumbraError(
      'data/missing-class',
      `${name}: the training samples of ${choice.train!.join(', ')} have none of class ${missing}`,
      {
        where: { data: name, split: 'train', class: missing },
        hint: 'train on more sites, or merge the class with another by a class map',
      },
    );
  }
  if (train?.targets.kind === 'findings') checkLearnable(name, train.targets);
  return { ...dataset, splits: Object.fromEntries(subsets.map((subset) => [subset.split, subset])) };
}

/** 1 for each site that is wanted. */
function siteFlags(
  name: string,
  sites: readonly string[],
  split: SplitName,
  wanted: readonly string[],
): Uint8Array {
  const flags = new Uint8Array(sites.length);
  for (const site of wanted) {
    const number = sites.indexOf(site);
    if (number < 0) {
      throw new PenumbraError('data/site', `${name} has no site '${site}' (wanted for split ${split})`, {
        where: { data: name, split, site },
        hint: `did you mean '${nearest(site, sites)}'? its sites are ${sites.slice(0, 8).join(', ')}${sites.length > 8 ? ', …' : ''}`,
      });
    }
    flags[number] = 1;
  }
  return flags;
}
