import { needsTeacher } from '../objectives/index.ts';
import { RunFolder, timeSteps } from '../training/index.ts';
import type { PlannedCell, PlannedRun } from './plan.ts';
import type { OpenedStudy } from './study.ts';

/** What one network on one data set will cost. */
export interface CellCost {
  readonly set: string;
  readonly network: string;
  /** Runs in all, and how many of them are finished. */
  readonly runs: number;
  readonly finished: number;
  readonly parameters: number;
  /** Side of the network's input. */
  readonly size: number;
  /** Images that one run trains on: epochs × samples; of the longest method. */
  readonly images: number;
  /** Images a second in training, evaluations left out; from finished runs, or timed steps. */
  readonly imagesPerSecond: number;
  readonly source: 'finished runs' | 'timed steps';
  /** Of one run, the longest. */
  readonly secondsPerRun: number;
  /** Of all runs that are left. */
  readonly secondsLeft: number;
  /** On disk when all is done, and the most that a run under way needs besides. */
  readonly bytes: number;
  readonly bytesUnderWay: number;
}

/** A backward pass costs about two forward passes, and a teacher or an evaluation one. */
const FORWARD_SHARE = 1 / 3;

/**
 * Expects a study's cost: every network's speed is that of its finished runs, or is measured by a few training steps on
 * the real images. Time to judge is not in it.
 */
export async function expectCost(opened: OpenedStudy, onCell: (name: string) => void): Promise<CellCost[]> {
  const costs: CellCost[] = [];
  for (const cell of opened.plan.cells) {
    const runs = opened.chosen.filter((run) => run.cell === cell);
    if (runs.length === 0) continue;
    onCell(`${cell.set.id}, ${cell.network}`);
    const { embeddings } = opened.study.config as { embeddings?: false | { readonly images: number } };
    costs.push(await cellCost(cell, runs, embeddings ? embeddings.images : 0));
  }
  return costs;
}

async function cellCost(cell: PlannedCell, runs: readonly PlannedRun[], embedded: number): Promise<CellCost> {
  const { dataset, split } = cell.set;
  const timed = await timeSteps(runs[0]!.config, dataset);
  const known = measuredSpeed(runs);
  const speed = known ?? timed.imagesPerSecond;
  const seconds = (run: PlannedRun) => {
    const { epochs, evaluateEvery } = run.config;
    const evaluations = Math.ceil(epochs / evaluateEvery) * (dataset.splits.val?.length ?? 0);
    const teacher = needsTeacher(run.config.objective) ? run.images * FORWARD_SHARE : 0;
    return (run.images + teacher + evaluations * FORWARD_SHARE) / speed;
  };
  const left = runs.filter((run) => !new RunFolder(run.folder).finished);
  const classes = dataset.classes.length;
  const judged = dataset.splits[split]!.length + (cell.set.calibration?.length ?? 0);
  const weights = 4 * timed.parameters;
  // Probabilities and logits of every judged image, and with features those of the embedded ones.
  const shown = Math.min(embedded, dataset.splits[split]!.length);
  const outputs = 8 * judged * classes + shown * (8 * classes + 4 * timed.features);
  // A checkpoint holds the weights and the optimizer's memory; there are two, and a third while it is written.
  const state = weights * (runs.some(({ config }) => /^adam/.test(config.optimizer)) ? 3 : 2);
  return {
    set: cell.set.id,
    network: cell.network,
    runs: runs.length,
    finished: runs.length - left.length,
    parameters: timed.parameters,
    size: timed.size,
    images: Math.max(...runs.map(({ images }) => images)),
    imagesPerSecond: speed,
    source: known === undefined ? 'timed steps' : 'finished runs',
    secondsPerRun: Math.max(...runs.map(seconds)),
    secondsLeft: left.reduce((sum, run) => sum + seconds(run), 0),
    bytes: runs.length * (weights + outputs),
    bytesUnderWay: 3 * state,
  };
}

function measuredSpeed(runs: readonly PlannedRun[]): number | undefined {
  const epochs = runs.flatMap((run) => new RunFolder(run.folder).metrics());
  const seconds = epochs.reduce((sum, epoch) => sum + epoch.seconds, 0);
  const images = epochs.reduce((sum, epoch) => sum + epoch.seconds * epoch.imagesPerSecond, 0);
  return seconds > 0 ? images / seconds : undefined;
}
