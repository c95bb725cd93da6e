import { countFindings, type FindingCounts } from './targets.ts';
import { type Dataset, SPLIT_NAMES, type SplitName } from './types.ts';

/** Findings of which a split has only one kind of case, or none. */
export interface Lack {
  readonly split: SplitName;
  readonly what: 'known value' | 'positive' | 'negative';
  readonly findings: readonly string[];
}

/** What is to be done about lacks, in one sentence. */
export const LACK_HINT =
  'train without them (--classes, or classes in a study file, names the findings that are wanted), or divide the data so that each split has some of both kinds';

/** What the splits lack of their findings; nothing for one label of K. */
export function lackingFindings({ splits }: Pick<Dataset, 'splits'>): Lack[] {
  return SPLIT_NAMES.flatMap((split) => {
    const targets = splits[split]?.targets;
    return targets?.kind === 'findings' ? lacksOf(split, countFindings(targets)) : [];
  });
}

/** What a split lacks by its counts. */
export function lacksOf(split: SplitName, counts: readonly FindingCounts[]): Lack[] {
  const lacks: [Lack['what'], (count: FindingCounts) => boolean][] = [
    ['known value', ({ known }) => known === 0],
    ['positive', ({ known, positive }) => known > 0 && positive === 0],
    ['negative', ({ known, negative }) => known > 0 && negative === 0],
  ];
  return lacks
    .map(([what, is]) => ({ split, what, findings: counts.filter(is).map(({ name }) => name) }))
    .filter(({ findings }) => findings.length > 0);
}

/** A lack with what it means: `split test has no positive of Mass: its AUROC cannot be measured, and means leave it out`. */
export function lackText({ split, what, findings }: Lack): string {
  const [it, its] = findings.length === 1 ? ['it', 'its'] : ['they', 'their'];
  const means = {
    train: `${it} cannot be learnt`,
    val: `no threshold and no calibrator can be fitted for ${it === 'it' ? it : 'them'}`,
    test: `${its} AUROC and what else needs both kinds cannot be measured, and means leave ${it === 'it' ? it : 'them'} out`,
  };
  return `split ${split} has no ${what} of ${findings.join(', ')}: ${means[split]}`;
}
