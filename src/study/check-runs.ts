import { PenumbraError } from '../errors.ts';
import { loadPretrained } from '../models/index.ts';
import { checkServes } from '../objectives/index.ts';
import { Generator, tidy } from '../torch/index.ts';
import { buildModel, buildObjective, trainLoader, withModelDefaults } from '../training/build.ts';
import { chooseMode } from '../training/index.ts';
import { isFinished, type PlannedRun } from './plan.ts';

/**
 * Checks that every run that is not finished can start: its objective serves the data's targets, its device is there, its
 * network takes images of that size, and its initial weights are of that network. Each combination is made once and thrown away.
 * @throws what building the network or reading the weights raises, with the set and network
 */
export async function checkRuns(runs: readonly PlannedRun[]): Promise<void> {
  const seen = new Set<string>();
  for (const run of runs) {
    if (isFinished(run)) continue;
    checkServes(run.config.objective, run.cell.set.dataset.kind);
    checkObjective(run, seen);
    const { model, size, channels, stem, device, precision, threads, weights } = run.config;
    const key = JSON.stringify([run.set, model, size, channels, stem, device, precision, threads, weights]);
    if (seen.has(key)) continue;
    seen.add(key);
    try {
      await checkRun(run);
    } catch (cause) {
      throw told(cause, `set ${run.set}, network ${run.network}`);
    }
  }
}

/** Makes the objective of each set once: what it asks of the data, as rates or measured errors, is missed now and not in its turn. */
function checkObjective({ config, cell, set, method }: PlannedRun, seen: Set<string>): void {
  const key = JSON.stringify([set, config.objective, config.epochs]);
  if (seen.has(key)) return;
  seen.add(key);
  try {
    const train = cell.set.dataset.splits.train!;
    buildObjective(config, train, { device: 'cpu' }, new Generator(config.seed)).dispose();
  } catch (cause) {
    throw told(cause, `set ${set}, method ${method}`);
  }
}

/** The error with what it is of. */
function told(cause: unknown, whose: string): unknown {
  if (!(cause instanceof PenumbraError)) return cause;
  return new PenumbraError(cause.code, `${whose}: ${cause.message}`, {
    ...(cause.hint !== undefined && { hint: cause.hint }),
    where: cause.where,
    cause,
  });
}

async function checkRun({ config: given, cell }: PlannedRun): Promise<void> {
  const train = cell.set.dataset.splits.train!;
  const config = withModelDefaults(given, train.targets);
  const mode = chooseMode(config);
  await using loader = trainLoader(config, train);
  const model = tidy(() =>
    buildModel(config, loader, train.classes.length, new Generator(config.seed), mode),
  );
  try {
    if (config.weights !== null)
      loadPretrained(model, config.weights, { strict: config.strictWeights, notice: () => {} });
  } finally {
    model.dispose();
  }
}
