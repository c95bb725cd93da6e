import { PenumbraError } from '../errors.ts';
import { binaryAuroc } from '../metrics/index.ts';
import { checkSame, type Outputs, samplesOf } from './outputs.ts';

/** A method, or a run of it, on validation and on test samples. */
export interface FindingCandidate {
  readonly name: string;
  readonly validation: Outputs;
  readonly test: Outputs;
}

export interface BestPerFinding {
  /** K names: whose outputs each finding has. */
  readonly chosen: readonly string[];
  /** K×candidates: AUROC on validation, null where a finding has one kind of case only. */
  readonly auroc: readonly (readonly (number | null)[])[];
  /** The test outputs put together of the chosen ones', finding by finding. */
  readonly test: Outputs;
}

/**
 * Takes for each finding the candidate with the best AUROC on validation, as CheXpert's authors chose their policies for
 * uncertain labels (Irvin et al., AAAI 2019). Of equal ones, and where none can be told, the first. Judged on the same
 * validation samples the result looks better than it is; the test samples must be others.
 * @throws PenumbraError `figures/best` for no candidate, `figures/kind` for one label of K, `metrics/runs` where candidates
 * are not of the same samples
 */
export function bestPerFinding(candidates: readonly FindingCandidate[]): BestPerFinding {
  const [first] = candidates;
  if (first === undefined) {
    throw new PenumbraError('figures/best', 'There are no candidates to choose from.', {
      hint: 'Give at least one.',
    });
  }
  candidates.forEach(({ validation, test }, run) => {
    for (const { targets } of [validation, test]) {
      if (targets.kind === 'findings') continue;
      throw new PenumbraError('figures/kind', 'These are labels of one of K, not findings.', {
        hint: 'The best of each finding is chosen among outputs of findings.',
      });
    }
    checkSame(first.validation, validation, run);
    checkSame(first.test, test, run);
  });
  const { names } = first.test.targets;
  const k = names.length;
  const auroc = names.map((_, c) => candidates.map(({ validation }) => aurocOf(validation, c)));
  const best = auroc.map((values) => {
    let at = 0;
    for (let i = 1; i < values.length; i++) if ((values[i] ?? -1) > (values[at] ?? -1)) at = i;
    return at;
  });
  const n = samplesOf(first.test);
  const take = (of: (outputs: Outputs) => Outputs['probabilities'] | undefined) => {
    if (candidates.some(({ test }) => of(test) === undefined)) return undefined;
    const together = new Float64Array(n * k);
    for (let at = 0; at < together.length; at++) together[at] = of(candidates[best[at % k]!]!.test)![at]!;
    return together;
  };
  const logits = take((outputs) => outputs.logits);
  const { thresholds: _, ...rest } = first.test;
  return {
    chosen: best.map((i) => candidates[i]!.name),
    auroc,
    test: { ...rest, probabilities: take(({ probabilities }) => probabilities)!, ...(logits && { logits }) },
  };
}

/** Of a finding's known cases; a y of 1/2 is neither. */
function aurocOf({ targets, probabilities }: Outputs, column: number): number | null {
  const k = targets.names.length;
  const mask = targets.kind === 'findings' ? targets.mask : undefined;
  const scores: number[] = [];
  const positive: number[] = [];
  for (let at = column; at < targets.values.length; at += k) {
    const y = targets.values[at]!;
    if ((mask !== undefined && mask[at] !== 1) || y === 0.5) continue;
    scores.push(probabilities[at]!);
    positive.push(Number(y > 0.5));
  }
  return binaryAuroc(Float64Array.from(scores), positive);
}
