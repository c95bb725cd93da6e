/**
 * Trains every objective from the same start for a few steps and prints what came out, as JSON: what
 * test/fixtures/training/weights.json holds. The environment lowers the engine to instructions that every x64 processor
 * has; `probe` is a hash of plain operators at the same sizes, and tells whether this machine rounds as the one did
 * that made the fixture.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDataset } from '../../src/data/index.ts';
import { aten, Generator, readSafetensors, setThreads, type Tensor, tidy } from '../../src/torch/index.ts';
import { fit, resolveConfig, type TrainOptions } from '../../src/training/index.ts';

export interface WeightsFixture {
  readonly probe: string;
  readonly runs: Readonly<Record<string, RunNumbers>>;
}

export interface RunNumbers {
  readonly model: string;
  /** What the method learnt; absent where it learns nothing. */
  readonly objective?: string;
  /** The epochs' training losses. */
  readonly losses: readonly number[];
}

const objectives = [
  ...['hard', 'ls', 'ols', 'ols:variant=zero-start', 'ols:variant=fine-grained'],
  ...['tfkd-reg', 'tfkd-self', 'css', 'css:similarity=ordinal', 'gls', 'gls:rate=0.2', 'focal'],
];
const cases: Record<string, TrainOptions> = {
  ...Object.fromEntries(objectives.map((objective) => [objective, { objective }])),
  ...Object.fromEntries(
    ['ols', 'tfkd-self'].map((objective) => [`${objective} with mixup`, { objective, mixup: 0.4 }]),
  ),
  'hard with AdamW, multi-step': {
    objective: 'hard',
    optimizer: 'adamw',
    learningRate: 0.001,
    schedule: 'multi-step',
    milestones: [1],
  },
  'ls with dropout': { objective: 'ls', model: 'mobilenet_v2' },
};

const common: TrainOptions = {
  model: 'resnet10',
  stem: 'standard',
  epochs: 2,
  batchSize: 15,
  seed: 3,
  threads: 1,
  workers: 0,
  device: 'cpu',
  precision: 'float32',
};
const dataset = openDataset('phantom', { phantom: { images: 64, size: 32 } });
const root = mkdtempSync(join(tmpdir(), 'penumbra-weights-'));
try {
  setThreads(1);
  const arithmetic = probe();
  const runs: Record<string, RunNumbers> = {};
  for (const [name, settings] of Object.entries(cases)) runs[name] = await run(name, settings);
  process.stdout.write(`${JSON.stringify({ probe: arithmetic, runs } satisfies WeightsFixture, null, 1)}\n`);
} finally {
  rmSync(root, { recursive: true });
}

async function run(name: string, settings: TrainOptions): Promise<RunNumbers> {
  const folder = join(root, name.replace(/\W+/g, '-'));
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  const { epochs } = await fit({
    config: resolveConfig({ ...common, ...settings }),
    dataset,
    dataPath: 'phantom',
    folder,
  });
  const learnt = hashOfFile(join(folder, 'objective.safetensors'));
  return {
    model: hashOfFile(join(folder, 'model.safetensors'))!,
    ...(learnt !== undefined && { objective: learnt }),
    losses: epochs.map(({ trainLoss }) => trainLoss),
  };
}

/** Over names, shapes and bytes of the tensors, not over what else the file says. */
function hashOfFile(path: string): string | undefined {
  try {
    readFileSync(path);
  } catch {
    return undefined;
  }
  return tidy(() => hashOf([...readSafetensors(path).tensors]));
}

function hashOf(tensors: readonly (readonly [string, Tensor])[]): string {
  const hash = createHash('sha256');
  for (const [name, tensor] of tensors) {
    const values = tensor.toTypedArray();
    hash.update(`${name}\0${tensor.shape.join()}\0`);
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest('hex').slice(0, 16);
}

/** Convolutions forward and backward, batch norm, products, exponentials and logarithms, by the operators alone. */
function probe(): string {
  return tidy(() => {
    const generator = new Generator(1);
    const random = (shape: number[]) => aten.randn(shape, { generator });
    const results: [string, Tensor][] = [];
    const convolutions = [
      [1, 64, 32, 7, 2],
      [64, 64, 8, 3, 1],
      [64, 128, 8, 3, 2],
      [128, 256, 4, 3, 2],
      [256, 512, 2, 3, 2],
      [64, 128, 8, 1, 2],
    ] as const;
    for (const [inputs, outputs, size, kernel, stride] of convolutions) {
      const image = random([16, inputs, size, size])
        .contiguous({ memory_format: 'channels_last' })
        .requires_grad_();
      const weight = random([outputs, inputs, kernel, kernel])
        .contiguous({ memory_format: 'channels_last' })
        .requires_grad_();
      const result = aten.conv2d(image, weight, null, [stride, stride], [kernel >> 1, kernel >> 1]);
      const normal = aten.batch_norm(result, null, null, null, null, true, 0.1, 1e-5, true);
      normal.relu().sum().add(normal.pow(2).mean()).backward();
      const name = `${inputs}-${outputs}-${kernel}`;
      results.push([name, normal.detach()], [`${name}-w`, weight.grad!], [`${name}-x`, image.grad!]);
    }
    const logits = random([16, 512])
      .matmul(random([512, 5]))
      .div(20);
    results.push(
      ['softmax', logits.softmax(1)],
      ['log', logits.log_softmax(1)],
      ['power', logits.abs().pow(1.7)],
    );
    return hashOf(results);
  });
}
