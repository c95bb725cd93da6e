/**
 * A process of a launcher that trains a run together with others, or alone. The only argument is JSON. Prints the hash of its
 * own copy of the weights in the end.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { openDataset } from '../../src/data/index.ts';
import { formatError } from '../../src/errors.ts';
import { defineModel, registerModel } from '../../src/models/index.ts';
import { defineObjective, registerObjective } from '../../src/objectives/index.ts';
import { aten, distributed, keep, tidy } from '../../src/torch/index.ts';
import { asTeam, fit, resolveConfig, type Team, type TrainOptions } from '../../src/training/index.ts';
import { flat, flatWithDropout, normed } from './small.ts';

export interface RankRun {
  readonly folder: string;
  readonly settings: TrainOptions;
  /** A folder of images; phantoms where it is left out. */
  readonly data?: string;
  readonly images?: number;
  /** Of rank 0, which kills itself one step later, before any restart by torchrun; or stops as Ctrl-C does. */
  readonly killAfter?: number;
  readonly stopAfter?: number;
  /** Whether to say on stderr when the first step is done. */
  readonly announce?: boolean;
  /** Seconds that a rank is waited for. Default: 60. */
  readonly timeout?: number;
}

const run = JSON.parse(process.argv[2]!) as RankRun;
const { settings, images = 100 } = run;

// Remembers what this process saw, and does not add it up: the trainer must notice.
registerObjective(
  defineObjective({
    name: 'forgetful',
    tasks: ['one-of-k'],
    options: z.strictObject({}),
    make: () => {
      const seen = keep(aten.zeros([1]));
      return {
        target: ({ targets }, task) => task.label(targets),
        observe: ({ logits }) => void seen.add_(logits.sum()),
        stateDict: () => new Map([['seen', seen]]),
      };
    },
  }),
);

let hash = '';
let announced = false;
const own = [flat, flatWithDropout, normed].find(({ name }) => name === settings.model);
const watched =
  own &&
  defineModel({
    ...own,
    make(options) {
      const network = own.make(options);
      const dispose = network.dispose.bind(network);
      network.dispose = () => {
        const sum = createHash('sha256');
        for (const tensor of network.stateDict().values())
          tidy(() => sum.update(new Uint8Array((tensor.detach().toTypedArray() as Float32Array).buffer)));
        hash = sum.digest('hex');
        dispose();
      };
      return network;
    },
  });

if (watched) registerModel(watched);

async function train(team?: Team): Promise<boolean> {
  const stop = new AbortController();
  const last = (team?.size ?? 1) - 1;
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  const { finished } = await fit({
    config: resolveConfig(settings),
    dataset:
      run.data === undefined
        ? openDataset('phantom', {
            phantom: { images, size: 32, seed: 5 },
            fractions: { val: 0.2, test: 0.1 },
          })
        : openDataset(run.data, { fractions: { val: 0, test: 0 } }),
    dataPath: run.data ?? 'phantom',
    folder: run.folder,
    ...(team && { team }),
    signal: stop.signal,
    onEvent: (event) => {
      if (event.type !== 'step') return;
      if (run.announce && !announced) process.stderr.write('training\n');
      announced = true;
      const first = (process.env.TORCHELASTIC_RESTART_COUNT ?? '0') === '0';
      if (first && team?.leads !== false && event.step === (run.killAfter ?? -1) + 1)
        process.kill(process.pid, 'SIGKILL');
      // Any rank may be the one that hears of it.
      if (event.step === run.stopAfter && (team?.rank ?? 0) === last) stop.abort();
    },
  });
  return finished;
}

const meeting = distributed.meetingFromEnvironment(process.env);
try {
  const finished = await (meeting === undefined
    ? train()
    : asTeam(meeting, { timeout: run.timeout ?? 60 }, train));
  process.stdout.write(`${JSON.stringify({ finished, hash })}\n`);
} catch (error) {
  process.stderr.write(`${formatError(error)}\n`);
  if (meeting !== undefined) distributed.exitNow(1);
  process.exitCode = 1;
}
