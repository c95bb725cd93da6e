/** Training in float16 with a scaled loss, as on GPUs without bfloat16; LibTorch computes it on a processor too. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { registerModel } from '../../src/models/index.ts';
import { readSafetensors } from '../../src/torch/index.ts';
import { type EpochMetrics, fit, resolveConfig, type TrainOptions } from '../../src/training/index.ts';
import { choosePrecision } from '../../src/training/mode.ts';
import { normed, phantoms } from './small.ts';

vi.setConfig({ testTimeout: 120_000 });
const root = mkdtempSync(join(tmpdir(), 'penumbra-float16-'));
afterAll(() => rmSync(root, { recursive: true }));
registerModel(normed);

const settings: TrainOptions = {
  model: 'normed',
  objective: 'ols',
  epochs: 3,
  batchSize: 16,
  learningRate: 0.05,
  threads: 1,
  workers: 0,
  precision: 'float16',
  keepCheckpoints: true,
};

async function train(name: string, own: TrainOptions = {}, stopAfter = 0) {
  const stop = new AbortController();
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  const result = await fit({
    config: resolveConfig({ ...settings, ...own }),
    dataset: phantoms(),
    dataPath: 'phantom',
    folder: join(root, name),
    signal: stop.signal,
    onEvent: (event) => void (event.type === 'step' && event.step === stopAfter && stop.abort()),
  });
  return result.finished;
}

function lastCheckpoint(name: string): Buffer {
  const folder = join(root, name, 'checkpoints');
  return readFileSync(join(folder, readdirSync(folder).sort().at(-1)!));
}

const losses = (name: string) =>
  readFileSync(join(root, name, 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as EpochMetrics).trainLoss);

test.each([{}, { accumulate: 2 }])(
  'it learns as float32 does, and goes on bit for bit with its scale: %o',
  async (own) => {
    const name = `a${own.accumulate ?? 1}`;
    await train(`${name}-wide`, { ...own, precision: 'float32' });
    expect(await train(`${name}-straight`, own)).toBe(true);
    for (const [i, loss] of losses(`${name}-straight`).entries())
      expect(loss).toBeCloseTo(losses(`${name}-wide`)[i]!, 2);
    expect(losses(`${name}-straight`)).not.toEqual(losses(`${name}-wide`));
    expect(await train(`${name}-stopped`, own, 4)).toBe(false);
    expect(await train(`${name}-stopped`, own)).toBe(true);
    const files = ['straight', 'stopped'].map((end) =>
      readFileSync(join(root, `${name}-${end}`, 'model.safetensors')),
    );
    expect(files[0]!.equals(files[1]!)).toBe(true);
    const folder = join(root, `${name}-stopped`, 'checkpoints');
    const { tensors } = readSafetensors(join(folder, readdirSync(folder).sort().at(-1)!));
    expect(tensors.get('lossScale.factor')!.item()).toBeGreaterThan(0);
    for (const tensor of tensors.values()) tensor.dispose();
    expect(lastCheckpoint(`${name}-stopped`).length).toBe(lastCheckpoint(`${name}-straight`).length);
  },
);

test('auto on a GPU: bfloat16 from compute capability 8.0, float16 from 7.0, else float32', () => {
  const on = (device: string, ...capabilities: number[]) =>
    choosePrecision('auto', device, capabilities).precision;
  expect(on('cuda:0', 90)).toBe('bfloat16');
  expect(on('cuda:0', 80)).toBe('bfloat16');
  expect(on('cuda:1', 80, 75)).toBe('float16');
  expect(on('cuda', 61)).toBe('float32');
  expect(on('cuda:0', 0)).toBe('float32');
  expect(choosePrecision('float32', 'cuda:0', [90]).precision).toBe('float32');
  expect(choosePrecision('auto', 'cuda:0', [75]).reason).toContain('compute capability 7.5');
});
