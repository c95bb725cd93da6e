/**
 * Batch normalization with its addition and activation, by the fused kernels and by LibTorch's operators, over every shape of a
 * network; then a whole training step of it both ways:
 *
 *     npm run bench -- batch-norm [--models resnet50] [--dtypes bfloat16,float32] [--batch 16] [--size 224] [--rounds 5] [--steps 5] [--threads 1]
 *
 * `--rounds 0` leaves the table out, and `--steps 0` the steps.
 * Both take turns. Milliseconds are of processor time of all threads, the median over rounds: other work on the machine hardly
 * counts in them. The error is that of the input's gradient, relative, against double precision.
 */
import { parseArgs } from 'node:util';
import { createModel } from '../src/models/index.ts';
import {
  aten,
  autocast,
  Generator,
  getThreads,
  grad,
  keep,
  noGrad,
  setThreads,
  type Tensor,
  tidy,
} from '../src/torch/index.ts';
import { type Activation, BatchNorm2d, fusing } from '../src/torch/nn/index.ts';
import { SGD } from '../src/torch/optim/index.ts';

const { values } = parseArgs({
  options: {
    models: { type: 'string', default: 'resnet50' },
    dtypes: { type: 'string', default: 'bfloat16,float32' },
    batch: { type: 'string', default: '16' },
    size: { type: 'string', default: '224' },
    rounds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '5' },
    threads: { type: 'string', default: '' },
  },
  strict: false,
}) as { values: Record<string, string> };

type Type = 'bfloat16' | 'float32';

interface Case {
  readonly shape: readonly number[];
  readonly activation: Activation;
  readonly added: boolean;
  /** How often the network has it. */
  count: number;
}

const batch = Number(values.batch);
const size = Number(values.size);
if (values.threads !== '') setThreads(Number(values.threads));
console.log(
  `${getThreads()} threads, batch ${batch}, ${size} pixels; ms of processor time, LibTorch → fused\n`,
);
for (const model of values.models!.split(',')) {
  const cases = casesOf(model);
  for (const dtype of values.dtypes!.split(',') as Type[]) {
    if (Number(values.rounds) > 0) table(model, dtype, cases);
    if (Number(values.steps) > 0) step(model, dtype);
  }
}

/** What a forward pass asks batch norm for; of two images, as the shapes are those of any batch. */
function casesOf(model: string): Case[] {
  const cases = new Map<string, Case>();
  const { activated } = BatchNorm2d.prototype;
  BatchNorm2d.prototype.activated = function (input, activation, added = null) {
    const [, ...image] = input.shape;
    const key = `${image.join('×')} ${activation}${added === null ? '' : ' + added'}`;
    const found = cases.get(key) ?? { shape: [batch, ...image], activation, added: added !== null, count: 0 };
    found.count++;
    cases.set(key, found);
    return activated.call(this, input, activation, added);
  };
  try {
    const generator = new Generator(0);
    const net = createModel(model, { classes: 14, channels: 3, size, generator });
    tidy(() => noGrad(() => net.forward(aten.randn([2, 3, size, size], { generator }))));
  } finally {
    BatchNorm2d.prototype.activated = activated;
  }
  return [...cases.values()];
}

function table(model: string, dtype: Type, cases: readonly Case[]): void {
  console.log(
    `${model}, ${dtype}`.padEnd(40) + '        forward               backward            error of dx',
  );
  const total = { forward: [0, 0], backward: [0, 0] };
  for (const one of cases) {
    const measured = measure(one, dtype);
    const cell = ([plain, fused]: readonly number[]) =>
      `${plain!.toFixed(2).padStart(7)} → ${fused!.toFixed(2).padStart(6)} ${(plain! / fused!).toFixed(2)}×`;
    const name = `${one.count} × ${one.shape.slice(1).join('×')} ${one.activation}${one.added ? ' + added' : ''}`;
    console.log(
      `${name.padEnd(40)} ${cell(measured.forward)}  ${cell(measured.backward)}  ${measured.errors.map((e) => e.toExponential(1)).join(' → ')}`,
    );
    for (const i of [0, 1]) {
      total.forward[i]! += one.count * measured.forward[i]!;
      total.backward[i]! += one.count * measured.backward[i]!;
    }
  }
  const [forward, backward] = [total.forward, total.backward];
  console.log(
    `all of them: forward ${forward.map((ms) => ms.toFixed(1)).join(' → ')}, backward ${backward.map((ms) => ms.toFixed(1)).join(' → ')}\n`,
  );
}

function measure({ shape, activation, added }: Case, dtype: Type) {
  return tidy(() => {
    const generator = new Generator(1);
    const draw = () =>
      aten.randn(shape, { generator }).to({ dtype }).contiguous({ memory_format: 'channels_last' });
    const [input, other, gradient] = [draw().add(1).requires_grad_(), draw().requires_grad_(), draw()];
    const norm = new BatchNorm2d(shape[1]!);
    const times = { forward: [[], []] as number[][], backward: [[], []] as number[][] };
    const gradients: Tensor[] = [];
    const inputs = [input, norm.weight, norm.bias, ...(added ? [other] : [])];
    for (let round = -1; round < Number(values.rounds); round++) {
      for (const i of [0, 1]) {
        tidy(() => {
          const start = processor();
          const output = fusing(i === 1, () => norm.activated(input, activation, added ? other : null));
          const between = processor();
          const [dx] = grad([output], inputs, { gradOutputs: [gradient] });
          const end = processor();
          if (round < 0) return void (gradients[i] = keep(dx!.to({ dtype: 'float64' })));
          times.forward[i]!.push(between - start);
          times.backward[i]!.push(end - between);
          return undefined;
        });
      }
    }
    norm.to({ dtype: 'float64' });
    const double = (tensor: Tensor) => tensor.detach().to({ dtype: 'float64' });
    const exact = double(input).requires_grad_();
    const output = norm.activated(exact, activation, added ? double(other) : null);
    const [truth] = grad([output], [exact], { gradOutputs: [double(gradient)] });
    const errors = gradients.map((dx) => {
      return (dx.sub(truth!).norm().item() as number) / (truth!.norm().item() as number);
    });
    for (const dx of gradients) dx.dispose();
    return { forward: times.forward.map(median), backward: times.backward.map(median), errors };
  });
}

function step(model: string, dtype: Type): void {
  const generator = new Generator(0);
  const net = createModel(model, { classes: 14, channels: 3, size, generator }).to({
    memoryFormat: 'channels_last',
  });
  const images = aten
    .randn([batch, 3, size, size], { generator })
    .contiguous({ memory_format: 'channels_last' });
  const labels = aten.randint(14, [batch], { generator, dtype: 'int64' });
  const optimizer = new SGD(net.namedParameters(), { learningRate: 0.01, momentum: 0.9 });
  const forward = () => net.forward(images).to({ dtype: 'float32' });
  const times: number[][] = [[], []];
  const once = (fused: boolean) => {
    const start = processor();
    tidy(() => {
      const logits = fusing(fused, () => (dtype === 'bfloat16' ? autocast(forward) : forward()));
      optimizer.zeroGrad();
      aten.cross_entropy_loss(logits, labels).backward();
      optimizer.step();
    });
    return processor() - start;
  };
  for (let i = -1; i < Number(values.steps); i++)
    for (const fused of [false, true]) {
      const ms = once(fused);
      if (i >= 0) times[Number(fused)]!.push(ms);
    }
  const [plain, fused] = times.map(median) as [number, number];
  console.log(
    `a step of ${model}, ${dtype}: ${plain.toFixed(0)} → ${fused.toFixed(0)} ms, ${(plain / fused).toFixed(3)}×\n`,
  );
}

/** Milliseconds of processor time of this process so far. */
function processor(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
