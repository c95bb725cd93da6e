/**
 * A training run in a process of its own, for tests that end it hard. The only argument is JSON: the run's folder, its
 * settings, its phantoms, and after which step the process kills itself (with the step's successor already computed).
 */
import { openDataset } from '../../src/data/index.ts';
import { fit, importObjective, resolveConfig, type TrainOptions } from '../../src/training/index.ts';

export interface ChildRun {
  readonly folder: string;
  readonly settings: TrainOptions;
  readonly phantom: { readonly images: number; readonly size: number; readonly seed: number };
  readonly killAfter?: number;
}

const run = JSON.parse(process.argv[2]!) as ChildRun;
const { settings } = run;
const objective = await importObjective(settings.objective ?? 'ols');
// biome-ignore lint/suspicious/noFocusedTests: it trains
await fit({
  config: resolveConfig({ ...settings, objective }),
  dataset: openDataset('phantom', { phantom: run.phantom, fractions: { val: 0.1, test: 0.1 } }),
  dataPath: 'phantom',
  folder: run.folder,
  onEvent: (event) => {
    // One step further than the checkpoint, so that there is work to lose.
    if (event.type === 'step' && event.step === (run.killAfter ?? -1) + 1)
      process.kill(process.pid, 'SIGKILL');
  },
});
