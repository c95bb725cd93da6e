import { PenumbraError } from '../../errors.ts';

/** What is done with a row: its label is taken, or masked (the row stays, without y, p and r), or its report left out. */
export const rowPolicies = ['keep', 'mask', 'drop'] as const;
export type RowPolicy = (typeof rowPolicies)[number];

/** What is done with rows that are not plain. Each kind is counted in the card, whatever is done with it. */
export interface RowPolicies {
  /** The language model's quotations do not stand in the report, or only where nothing is asserted. Default `mask`. */
  readonly unverified?: RowPolicy;
  /** Rules and language model do not agree; the row is that of the rules. Default `keep`. */
  readonly disagreeing?: RowPolicy;
  /** The report or the finding could not be read, so there is nothing to keep. Default `drop`: of a whole report, its images. */
  readonly failed?: Exclude<RowPolicy, 'keep'>;
}

export const defaultPolicies = { unverified: 'mask', disagreeing: 'keep', failed: 'drop' } as const;

/** Kinds of rows, as the SQL of `rowKind` names them. */
export const rowKinds = ['unverified', 'disagreeing', 'failed', 'stable'] as const;

/** The kind of a row of the table `rows`, `plain` for most. The reasons are those that extractors write. */
export const rowKind = `CASE
  WHEN status = 'failed' THEN 'failed'
  WHEN contains(reason, 'extractors disagree') THEN 'disagreeing'
  WHEN reason LIKE 'unverified%' OR reason LIKE 'doubtful%' THEN 'unverified'
  WHEN reason LIKE 'stable%' THEN 'stable'
  ELSE 'plain' END`;

/** The policies with their defaults. @throws PenumbraError `usage/policy` for a word that is none. */
export function settlePolicies(given: RowPolicies = {}): Required<RowPolicies> {
  const policies = { ...defaultPolicies, ...given };
  for (const [kind, policy] of Object.entries(policies)) {
    if ((rowPolicies as readonly string[]).includes(policy) && !(kind === 'failed' && policy === 'keep'))
      continue;
    throw new PenumbraError('usage/policy', `There is no policy "${policy}" for ${kind} rows.`, {
      hint: kind === 'failed' ? 'Choose mask or drop.' : `Choose one of ${rowPolicies.join(', ')}.`,
    });
  }
  return policies;
}
