/**
 * Training speed and peak memory, beside PyTorch's in the same run:
 *
 *     npm run bench -- training --peer pytorch_training.py [--models mobilenet_v2,vgg19,vit_b_16,resnet50]
 *                               [--modes channels_last,bf16,default] [--rounds 3] [--steps 5] [--batch 16] [--size 224]
 *
 * The peer is a program `MODEL BATCH MODE SIZE STEPS` that prints a JSON line with `images_per_second` and `peak_mib`;
 * PENUMBRA_PYTHON names the Python (with torch and torchvision) that runs it. Ours and the peer's take turns, so that a
 * machine whose speed drifts slows both; the ratio is the median over rounds. `default` is both without any flag. Then follows what each method adds to a step of hard labels.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createModel } from '../src/models/index.ts';
import { createObjective, objectiveDefinitions, parseObjective } from '../src/objectives/index.ts';
import { oneOfK } from '../src/tasks/index.ts';
import { aten, autocast, engineInfo, Generator, noGrad, tidy } from '../src/torch/index.ts';
import { SGD } from '../src/torch/optim/index.ts';

const { values } = parseArgs({
  options: {
    child: { type: 'string' },
    peer: { type: 'string', default: process.env.PENUMBRA_PEER ?? '' },
    models: { type: 'string', default: 'mobilenet_v2,vgg19,vit_b_16,resnet50' },
    modes: { type: 'string', default: 'channels_last,bf16,default' },
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '5' },
    batch: { type: 'string', default: '16' },
    size: { type: 'string', default: '224' },
  },
  strict: false,
}) as { values: Record<string, string> };

const CLASSES = 14;

interface Figures {
  /** Only of our own. */
  teacher_seconds?: number;
  images_per_second: number;
  peak_mib: number;
}

if (values.child !== undefined) {
  const [model = '', mode = ''] = values.child.split(',');
  console.log(JSON.stringify(model === 'objectives' ? objectiveCosts() : train(model, mode)));
} else {
  compareWithPeer();
}

/** What one process measures: the median step of one network in one mode. */
function train(model: string, mode: string): Figures {
  const { step, teach } = trainer(model, mode);
  step();
  step();
  const seconds = median(Array.from({ length: Number(values.steps) }, step));
  // Read before anything else is measured in this process.
  const peak = process.resourceUsage().maxRSS / 1024;
  const teacher = median(Array.from({ length: Number(values.steps) }, teach));
  return {
    teacher_seconds: teacher,
    images_per_second: Number(values.batch) / seconds,
    peak_mib: peak,
  };
}

function trainer(model: string, mode: string) {
  const generator = new Generator(0);
  const batch = Number(values.batch);
  const size = Number(values.size);
  const net = createModel(model, { classes: CLASSES, channels: 3, size, generator });
  let images = aten.randn([batch, 3, size, size], { generator });
  const labels = aten.randint(CLASSES, [batch], { generator, dtype: 'int64' });
  if (mode !== 'plain') {
    net.to({ memoryFormat: 'channels_last' });
    images = images.contiguous({ memory_format: 'channels_last' });
  }
  const half = mode === 'bf16' || (mode === 'default' && engineInfo().bf16.fast);
  const optimizer = new SGD(net.namedParameters(), { learningRate: 0.01, momentum: 0.9 });
  const forward = () => {
    const logits = net.forward(images);
    return half ? logits.to({ dtype: 'float32' }) : logits;
  };
  const step = () => {
    const start = performance.now();
    tidy(() => {
      const logits = half ? autocast(forward) : forward();
      const loss = aten.cross_entropy_loss(logits, labels, null, 1, -100, 0.1);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      loss.item();
    });
    return (performance.now() - start) / 1000;
  };
  /** What teacher-free KD by self-training adds: the frozen copy's forward pass. */
  const teach = () => {
    net.eval();
    const start = performance.now();
    tidy(() => noGrad(() => (half ? autocast(forward) : forward()).sum().item()));
    return (performance.now() - start) / 1000;
  };
  return { step, teach };
}

/**
 * Seconds that each objective takes by itself for one batch: loss, its gradient, and what it learns from the batch.
 * Negative rates are measured after their warm-up.
 */
function objectiveCosts(): Record<string, number> {
  const generator = new Generator(0);
  const batch = Number(values.batch);
  const leaf = aten.randn([batch, CLASSES], { generator }).requires_grad_();
  const teacher = aten.randn([batch, CLASSES], { generator });
  const labels = aten.randint(CLASSES, [batch], { generator, dtype: 'int64' });
  const names = Array.from({ length: CLASSES }, (_, k) => `class ${k}`);
  const targets = { kind: 'one-of-k' as const, names, values: new Int32Array(1000) };
  const context = {
    task: oneOfK,
    classes: CLASSES,
    samples: 1000,
    targets,
    epochs: 1,
    device: 'cpu',
    generator,
  };
  const costs: Record<string, number> = {};
  for (const { name, tasks } of objectiveDefinitions()) {
    if (!tasks.includes('one-of-k')) continue;
    const objective = createObjective(parseObjective(name), context);
    const once = () => {
      const start = performance.now();
      tidy(() => {
        const seen = {
          logits: leaf,
          targets: { kind: 'one-of-k', classes: CLASSES, labels } as const,
          indices: new Int32Array(batch),
          inputs: {},
          teacherLogits: teacher,
          epoch: 1,
        };
        objective.loss(seen).backward();
        objective.observe({ ...seen, logits: leaf.detach() });
        leaf.grad = null;
      });
      return (performance.now() - start) / 1000;
    };
    for (let i = 0; i < 200; i++) once();
    costs[name] = median(Array.from({ length: 1000 }, once));
  }
  return costs;
}

function compareWithPeer(): void {
  const python = process.env.PENUMBRA_PYTHON ?? 'python3';
  const peer = values.peer !== '' && existsSync(values.peer!) ? values.peer! : null;
  if (peer === null) {
    console.log('No peer: these are our own figures. --peer FILE names the program to compare with.\n');
  }
  const rounds = Number(values.rounds);
  const fastest = { name: '', seconds: Number.POSITIVE_INFINITY, teacher: 0 };
  console.log('model        mode           ours img/s  peer img/s  ratio (min–max)      ours MiB  peer MiB');
  for (const model of values.models!.split(',')) {
    for (const mode of values.modes!.split(',')) {
      const ours: Figures[] = [];
      const theirs: Figures[] = [];
      for (let round = 0; round < rounds; round++) {
        ours.push(
          child(process.execPath, [
            fileURLToPath(import.meta.url),
            '--child',
            `${model},${mode}`,
            ...passedOn(),
          ]),
        );
        if (peer === null) continue;
        const peerMode = mode === 'default' ? 'plain' : mode;
        theirs.push(child(python, [peer, model, values.batch!, peerMode, values.size!, values.steps!]));
      }
      const rate = (list: Figures[]) => median(list.map((one) => one.images_per_second));
      const memory = (list: Figures[]) => Math.max(...list.map((one) => one.peak_mib)).toFixed(0);
      const seconds = Number(values.batch) / rate(ours);
      const teacher = median(ours.map((one) => one.teacher_seconds!));
      if (seconds < fastest.seconds) Object.assign(fastest, { name: `${model} ${mode}`, seconds, teacher });
      const ratios = theirs.map((one, i) => ours[i]!.images_per_second / one.images_per_second);
      const ratio =
        ratios.length === 0
          ? '–'
          : `${median(ratios).toFixed(3)} (${Math.min(...ratios).toFixed(3)}–${Math.max(...ratios).toFixed(3)})`;
      console.log(
        `${model.padEnd(12)} ${mode.padEnd(14)} ${rate(ours).toFixed(2).padStart(10)}  ${(theirs.length > 0 ? rate(theirs).toFixed(2) : '–').padStart(10)}  ` +
          `${ratio.padEnd(20)} ${memory(ours).padStart(8)}  ${(theirs.length > 0 ? memory(theirs) : '–').padStart(8)}`,
      );
    }
  }
  const costs = child<Record<string, number>>(process.execPath, [
    fileURLToPath(import.meta.url),
    '--child',
    'objectives',
    ...passedOn(),
  ]);
  const percent = (part: number) => `${((100 * part) / fastest.seconds).toFixed(3)} %`;
  console.log(
    `\nobjective  µs a batch  over hard labels, as part of the fastest step above (${fastest.name})`,
  );
  for (const [name, cost] of Object.entries(costs)) {
    console.log(`${name.padEnd(10)} ${(cost * 1e6).toFixed(0).padStart(10)}  ${percent(cost - costs.hard!)}`);
  }
  console.log(`tfkd-self also runs its teacher: one forward pass, ${percent(fastest.teacher)} of that step`);
}

function passedOn(): string[] {
  return ['steps', 'batch', 'size'].flatMap((name) => [`--${name}`, values[name]!]);
}

function child<T = Figures>(command: string, args: string[]): T {
  const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'utf8' });
  const line = stdout?.trim().split('\n').pop() ?? '';
  if (status !== 0 || !line.startsWith('{')) {
    throw new Error(`${command} ${args.join(' ')} failed:\n${stderr}`);
  }
  return JSON.parse(line) as T;
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
