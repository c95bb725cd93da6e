/** How often labels are wrong, as options give it or the data: for objectives that correct for it. */
import { z } from 'zod';
import { PenumbraError } from '../errors.ts';
import { type FindingsBatch, needFindings } from '../tasks/index.ts';
import { aten, type Tensor } from '../torch/index.ts';

const share = (what: string) => z.number().min(0).lt(0.5).optional().describe(what);

/** Options of objectives that correct labels. Left out, the data's own errors count. */
export const errorFields = {
  error: share(
    'how often the label is not what the report says, whatever it is, in place of what the data know of it; 0 corrects nothing',
  ),
  falsePositive: share('the same apart: of what is said to be absent, the share whose label is 1'),
  miss: share('and of what is said to be present, the share whose label is 0'),
};

export interface ErrorOptions {
  readonly error?: number | undefined;
  readonly falsePositive?: number | undefined;
  readonly miss?: number | undefined;
}

/** e₀₁ = P(y′ = 1 | y = 0) and e₁₀ = P(y′ = 0 | y = 1), of all values or by value, [N, K]. */
export interface Errors {
  readonly falsePositive: number | Tensor;
  readonly miss: number | Tensor;
}

/** @throws `objectives/option` where both forms are given */
export function checkErrors(name: string, { error, falsePositive, miss }: ErrorOptions): void {
  if (error === undefined || (falsePositive === undefined && miss === undefined)) return;
  throw new PenumbraError(
    'objectives/option',
    `${name}: error is for both kinds of error, falsePositive and miss for one each`,
    {
      hint: 'give error alone, or the other two',
    },
  );
}

/** Whether the options give errors, so that the data's are not looked at. */
export function givesErrors({ error, falsePositive, miss }: ErrorOptions): boolean {
  return error !== undefined || falsePositive !== undefined || miss !== undefined;
}

/**
 * The errors that hold for each value: by the options, else by the data's measurement, which tells definite statements
 * from hedged ones (r > 0). Undefined where neither knows any.
 */
export function errorsOf(batch: FindingsBatch, options: ErrorOptions): Errors | undefined {
  const { error = 0, falsePositive = error, miss = error } = options;
  if (givesErrors(options)) return { falsePositive, miss };
  const { errors, rates } = needFindings(batch);
  if (errors === undefined) return undefined;
  const [first, second, ofHedged] = [0, 1, 2].map((row) => errors.select(0, row)) as [Tensor, Tensor, Tensor];
  if (rates === undefined) return { falsePositive: first, miss: second };
  const doubt = rates.gt(0);
  return { falsePositive: aten.where(doubt, ofHedged, first), miss: aten.where(doubt, ofHedged, second) };
}
