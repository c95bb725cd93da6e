import type { Dataset } from '../data/index.ts';
import { needsTeacher } from '../objectives/index.ts';
import { Generator, tidy } from '../torch/index.ts';
import { buildModel, buildObjective, trainLoader, withModelDefaults } from './build.ts';
import type { TrainConfig } from './config.ts';
import { chooseMode } from './mode.ts';
import { makeOptimizer } from './optimizers.ts';
import { trainStep } from './train-step.ts';

export interface TimedSteps {
  readonly imagesPerSecond: number;
  readonly parameters: number;
  /** Length of a feature vector; 0 where the network has none. */
  readonly features: number;
  /** Side of the network's input. */
  readonly size: number;
}

/** Steps that warm caches up, and the fewest that count. */
const WARM_UP = 2;
const COUNTED = 4;

/**
 * A few training steps on the first images, with the run's network, optimizer and mode; nothing is written.
 * @param seconds go on for so long, over the images again where they end. Default 0: four steps
 */
export async function timeSteps(run: TrainConfig, dataset: Dataset, seconds = 0): Promise<TimedSteps> {
  // The teacher of a method that has one is counted by its share; the steps are those of plain training.
  const plain = needsTeacher(run.objective) ? { ...run, objective: 'hard' } : run;
  const train = dataset.splits.train!;
  const config = withModelDefaults(plain, train.targets);
  const mode = chooseMode(config);
  await using loader = trainLoader(config, train);
  const model = tidy(() =>
    buildModel(config, loader, train.classes.length, new Generator(config.seed), mode),
  );
  const objective = buildObjective(config, train, mode, new Generator(0, mode.device));
  const optimizer = makeOptimizer(config, model);
  try {
    model.train();
    optimizer.learningRate = 0;
    let images = 0;
    let since = performance.now();
    let steps = 0;
    const elapsed = () => (performance.now() - since) / 1000;
    const enough = () => steps >= WARM_UP + COUNTED && elapsed() >= seconds;
    for (let epoch = 0; epoch === 0 || (seconds > 0 && steps > 0 && !enough()); epoch++) {
      for await (const batch of loader.epoch(0)) {
        if (steps === WARM_UP) since = performance.now();
        if (batch.indices.length > 1) {
          trainStep({ model, optimizer, objective, mode, doubtWeight: config.doubtWeight ?? 0 }, batch, 0);
          if (steps >= WARM_UP) images += batch.indices.length;
        }
        batch.release();
        steps++;
        if (enough()) break;
      }
    }
    const { parameterCount: parameters, featureSize: features = 0 } = model;
    // A data set of fewer batches is timed with its first steps, as there are no others.
    const counted = images > 0 ? images : Math.min(train.length, steps * config.batchSize);
    return { imagesPerSecond: counted / elapsed(), parameters, features, size: loader.size };
  } finally {
    optimizer.dispose();
    objective.dispose();
    model.dispose();
  }
}

/** What more threads, or more jobs, must gain: they need more of the machine. */
const GAIN = 1.05;

/** The first that none behind it beats by more than the gain that is asked; what needs least comes first. */
export function firstThatPays<T extends { readonly imagesPerSecond: number }>(measured: readonly T[]): T {
  return measured.reduce((best, one) => (one.imagesPerSecond > best.imagesPerSecond * GAIN ? one : best));
}
