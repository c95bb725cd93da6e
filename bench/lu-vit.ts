/**
 * What LU-ViT's tokens and its head of doubt cost: a training step of LU-ViT beside one of the plain vision transformer,
 * in turns in one process, with the loss of findings:
 *
 *     npm run bench -- lu-vit [--model b_16] [--size 224] [--batch 8] [--rounds 15] [--threads 1] [--precision bfloat16]
 *
 * The ratio is the median over rounds of pairs that stand side by side, so that a machine whose speed drifts slows both:
 * of the processor's time, which a busy neighbour changes little, and of the clock's.
 */
import { parseArgs } from 'node:util';
import type { Findings } from '../src/data/index.ts';
import { createModel } from '../src/models/index.ts';
import { createObjective, parseObjective } from '../src/objectives/index.ts';
import { taskOf } from '../src/tasks/index.ts';
import { engineInfo, Generator, setThreads, tidy } from '../src/torch/index.ts';
import { SGD } from '../src/torch/optim/index.ts';
import { trainStep } from '../src/training/train-step.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'b_16' },
    size: { type: 'string', default: '224' },
    batch: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '15' },
    threads: { type: 'string', default: '1' },
    precision: { type: 'string', default: engineInfo().bf16.fast ? 'bfloat16' : 'float32' },
  },
});
/** CheXpert's. */
const FINDINGS = 14;
const [size, samples, threads] = [values.size, values.batch, values.threads].map(Number) as [
  number,
  number,
  number,
];
const precision = values.precision as 'bfloat16' | 'float32';
setThreads(threads);

const names = Array.from({ length: FINDINGS }, (_, k) => `finding ${k}`);
const fill = (length: number, of: (i: number) => number) => Float32Array.from({ length }, (_, i) => of(i));
const targets: Findings = {
  kind: 'findings',
  names,
  values: fill(samples * FINDINGS, (i) => Number(i % 5 === 0)),
  rates: fill(samples * FINDINGS, (i) => (i % 3) / 4),
};
const shape = [samples, size, size, 3];
const pixels = fill(samples * size * size * 3, (i) => Math.sin(i));
const inputs = { images: { values: pixels, shape, layout: 'NHWC' } };
const indices = Int32Array.from({ length: samples }, (_, i) => i);
const batch = { inputs, targets, indices, number: 0 } as unknown as Parameters<typeof trainStep>[1];

function trainee(model: string, doubt: boolean): Parameters<typeof trainStep>[0] {
  const generator = new Generator(0);
  const net = tidy(() => createModel(model, { classes: FINDINGS, channels: 3, size, generator, doubt }));
  net.to({ memoryFormat: 'channels_last' });
  const task = taskOf('findings');
  const context = { task, classes: FINDINGS, samples, targets, epochs: 1, device: 'cpu', generator };
  return {
    model: net,
    optimizer: new SGD(net.namedParameters(), { learningRate: 0.01, momentum: 0.9 }),
    objective: createObjective(parseObjective('hard'), context),
    mode: { device: 'cpu', precision, threads, fused: true, reason: 'bench' },
    ...(doubt && { doubtWeight: 0.5 }),
  };
}

interface Cost {
  /** Seconds of all processors, and of the clock. */
  readonly processor: number;
  readonly clock: number;
}

function timed(one: Parameters<typeof trainStep>[0]): Cost {
  const [before, start] = [process.cpuUsage(), performance.now()];
  trainStep(one, batch, 0);
  const { user, system } = process.cpuUsage(before);
  return { processor: (user + system) / 1e6, clock: (performance.now() - start) / 1000 };
}

const kinds = {
  plain: trainee(`vit_${values.model}`, false),
  tokens: trainee(`lu_vit_${values.model}`, false),
  both: trainee(`lu_vit_${values.model}`, true),
};
const costs: Record<keyof typeof kinds, Cost[]> = { plain: [], tokens: [], both: [] };
const order = Object.keys(kinds) as (keyof typeof kinds)[];
for (const one of Object.values(kinds)) for (let i = 0; i < 2; i++) timed(one);
for (let round = 0; round < Number(values.rounds); round++)
  // Every other round backwards: who comes first gains nothing.
  for (const kind of round % 2 === 0 ? order : order.toReversed()) costs[kind].push(timed(kinds[kind]));

console.log(
  `vit_${values.model}, ${size} px, batch ${samples}, ${precision}, ${threads} threads, ${values.rounds} rounds`,
);
console.log('                        s processor  s clock   ratio by processor (quartiles)   by clock');
for (const kind of order) {
  const ratios = (of: keyof Cost) => costs[kind].map((cost, i) => cost[of] / costs.plain[i]![of]);
  const [byProcessor, byClock] = [ratios('processor'), ratios('clock')];
  const shown = (share: number, list: number[]) => quantile(list, share).toFixed(4);
  const names = { plain: 'plain transformer', tokens: 'finding tokens', both: 'tokens and doubt' };
  const middle = (of: keyof Cost) =>
    quantile(
      costs[kind].map((cost) => cost[of]),
      0.5,
    ).toFixed(3);
  console.log(
    `${names[kind].padEnd(24)} ${middle('processor').padStart(10)} ${middle('clock').padStart(8)}   ` +
      `${shown(0.5, byProcessor)} (${shown(0.25, byProcessor)}–${shown(0.75, byProcessor)})`.padEnd(33) +
      shown(0.5, byClock),
  );
}

function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.round(share * (sorted.length - 1))]!;
}
