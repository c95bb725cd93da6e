/**
 * Data-parallel training, measured over loopback and modelled for networks:
 *
 *     npm run bench -- distributed [--ranks 2] [--rounds 5] [--steps 10]
 *     npm run bench -- distributed --model-only [--step-ms 850] [--images 16] [--gradient-mb 102] [--rate-gbs 1.33] [--latency-us 105]
 *
 * 1. An all-reduce of one number and of 100 MB.
 * 2. What a step with ResNet-50's gradients takes with several ranks more than with one: ours, and PyTorch's
 *    DistributedDataParallel, in turns (`distributed_peer.py` beside this file; PENUMBRA_PYTHON names a Python with torch).
 *    The backward pass is a trivial one, so that the reduction is what is timed. Medians, and processor seconds beside.
 * 3. A model of the throughput with 8, 64 and 512 ranks; `docs/distributed.md` says what is in it.
 * Prints one JSON object a line.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createModel } from '../src/models/index.ts';
import { freePort, rankEnvironment } from '../src/torch/distributed/local.ts';
import { aten, distributed, Generator, setThreads, type Tensor, tidy } from '../src/torch/index.ts';

const { values } = parseArgs({
  options: {
    ranks: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '10' },
    'model-only': { type: 'boolean', default: false },
    'step-ms': { type: 'string', default: '850' },
    images: { type: 'string', default: '16' },
    'gradient-mb': { type: 'string', default: '102' },
    'rate-gbs': { type: 'string', default: '1.33' },
    'latency-us': { type: 'string', default: '105' },
  },
  strict: false,
}) as { values: Record<string, string> & { 'model-only': boolean } };

const STEPS = Number(values.steps);
const [task] = process.argv.slice(2);
const say = (line: object) => console.log(JSON.stringify(line));

/** What one rank of a measurement prints. */
interface Timed {
  readonly milliseconds: readonly number[];
  readonly cpu: number;
}

if (task === 'all-reduce' || task === 'step') await asRank(task);
else {
  if (!values['model-only']) await measure();
  for (const gigabits of [25, 100]) for (const ranks of [1, 8, 64, 512]) say(modelled(ranks, gigabits));
}

async function measure(): Promise<void> {
  const size = Number(values.ranks);
  const ours = [...process.execArgv, fileURLToPath(import.meta.url)];
  const python = process.env.PENUMBRA_PYTHON;
  const peer = [fileURLToPath(new URL('./distributed_peer.py', import.meta.url)), values.steps!];
  say({ machine: { cores: availableParallelism(), load: loadavg()[0] }, ranks: size });
  for (const [name, bytes] of [
    ['one number', 8],
    ['100 MB', 100e6],
  ] as const) {
    const all: number[] = [];
    for (let round = 0; round < Number(values.rounds); round++) {
      const timed = await launch(process.execPath, [...ours, 'all-reduce', String(bytes)], size);
      all.push(median(timed.milliseconds));
    }
    say({ allReduce: name, milliseconds: median(all), least: Math.min(...all) });
  }
  const steps: Record<string, { ms: number[]; cpu: number[] }> = {};
  for (let round = 0; round < Number(values.rounds); round++)
    for (const ranks of [1, size])
      for (const who of ['ours', ...(python === undefined ? [] : ['pytorch'])]) {
        const [command, args] = who === 'ours' ? [process.execPath, [...ours, 'step']] : [python!, peer];
        const { milliseconds, cpu } = await launch(command, args, ranks, JSON.stringify(shapes()));
        const key = `${who} ${ranks}`;
        steps[key] ??= { ms: [], cpu: [] };
        steps[key].ms.push(median(milliseconds));
        steps[key].cpu.push((1000 * cpu) / milliseconds.length);
      }
  for (const who of ['ours', 'pytorch']) {
    const [one, several] = [steps[`${who} 1`], steps[`${who} ${size}`]];
    if (one === undefined || several === undefined) continue;
    say({
      step: who,
      alone: { ms: median(one.ms), cpuMs: median(one.cpu) },
      together: { ms: median(several.ms), cpuMs: median(several.cpu) },
      overhead: { ms: median(several.ms) - median(one.ms), cpuMs: median(several.cpu) - median(one.cpu) },
    });
  }
  if (python === undefined)
    say({ note: 'PENUMBRA_PYTHON names no Python with torch: nothing to compare with' });
}

/** Runs a program as so many ranks and returns what rank 0 printed. */
async function launch(command: string, args: readonly string[], size: number, input = ''): Promise<Timed> {
  const port = await freePort();
  const ranks = Array.from({ length: size }, (_, rank) => {
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        ...process.env,
        OMP_NUM_THREADS: '1',
        ...rankEnvironment(rank, size, port),
      },
    });
    child.stdin.end(input);
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    return { ended: once(child, 'close'), said: () => said };
  });
  for (const { ended } of ranks) {
    const [code] = await ended;
    if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}`);
  }
  return JSON.parse(ranks[0]!.said()) as Timed;
}

async function asRank(what: string): Promise<void> {
  setThreads(1);
  const meeting = distributed.meetingFromEnvironment(process.env);
  const group = meeting && (await distributed.join(meeting));
  const step = what === 'step' ? gradientStep(group) : numbers(group!, Number(process.argv[3]));
  for (let i = 0; i < 3; i++) step();
  const before = process.cpuUsage();
  const milliseconds = Array.from({ length: STEPS }, () => {
    const start = performance.now();
    step();
    return performance.now() - start;
  });
  const { user, system } = process.cpuUsage(before);
  group?.leave();
  say({ milliseconds, cpu: (user + system) / 1e6 } satisfies Timed);
}

function numbers(group: distributed.ProcessGroup, bytes: number): () => void {
  const tensor = aten.ones([Math.ceil(bytes / 4)]);
  return () => void group.allReduce(tensor.fill_(1));
}

/** A loss in which each parameter of ResNet-50 has a part, and its gradients. */
function gradientStep(group: distributed.ProcessGroup | undefined): () => void {
  const generator = new Generator(0);
  const parameters = new Map<string, Tensor>(
    shapes().map((shape, i) => [`weight${i}`, aten.randn(shape, { generator }).requires_grad_()]),
  );
  const reducer = group && new distributed.Reducer(group, parameters);
  const weights = [...parameters.values()];
  return () =>
    tidy(() => {
      for (const weight of weights) weight.grad = null;
      const loss = weights.map((weight) => weight.square().sum()).reduce((a, b) => a.add(b));
      if (reducer === undefined) loss.backward();
      else reducer.backward(loss);
    });
}

function shapes(): number[][] {
  return tidy(() => {
    const model = createModel('resnet50', {
      classes: 1000,
      channels: 3,
      size: 224,
      generator: new Generator(0),
    });
    return model.parameters().map(({ shape }) => [...shape]);
  });
}

/**
 * Images a second of so many machines of the kind that was measured. A step is a forward pass (a third of the time that one
 * rank needs) and a backward pass; buckets of 1 and then 25 MiB become ready evenly over the backward pass and are reduced
 * one after another, each by a ring: 2(N − 1)/N of its bytes pass every rank, at the network's rate or at Gloo's own,
 * whichever is less, in 2(N − 1) messages that each wait for the one before. Then follows the reduction of a few numbers on
 * which the ranks agree.
 */
function modelled(ranks: number, gigabits: number) {
  const stepMs = Number(values['step-ms']);
  const megabytes = Number(values['gradient-mb']);
  const latency = Number(values['latency-us']) / 1000;
  const rate = Math.min(gigabits / 8, Number(values['rate-gbs'])); // GB/s, which is MB/ms.
  const sizes = [
    1.05,
    ...Array.from({ length: Math.ceil((megabytes - 1.05) / 26.2) }, (_, i) =>
      Math.min(26.2, megabytes - 1.05 - 26.2 * i),
    ),
  ];
  const backward = (2 * stepMs) / 3;
  const ringed = (size: number) =>
    ranks === 1 ? 0 : (2 * (ranks - 1) * size) / ranks / rate + 2 * (ranks - 1) * latency;
  let ready = 0;
  let free = 0;
  for (const size of sizes) {
    ready += (backward * size) / megabytes;
    free = Math.max(free, ready) + ringed(size);
  }
  const agreement = ranks === 1 ? 0 : 2 * (ranks - 1) * latency;
  const step = stepMs / 3 + Math.max(backward, free) + agreement;
  const images = Number(values.images);
  return {
    ranks,
    gigabits,
    stepMs: Math.round(step),
    imagesPerSecond: Math.round((1000 * ranks * images) / step),
    efficiency: Number((stepMs / step).toFixed(3)),
    reductionMs: Math.round(sizes.reduce((sum, size) => sum + ringed(size), 0)),
  };
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
