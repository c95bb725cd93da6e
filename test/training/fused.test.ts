/** Fused kernels of batch norm: chosen once a run, and kept with it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { canFuse } from '../../src/torch/nn/index.ts';
import { fit, type RunDescription, resolveConfig, type TrainOptions } from '../../src/training/index.ts';
import { phantoms } from './small.ts';

vi.setConfig({ testTimeout: 180_000 });
const root = mkdtempSync(join(tmpdir(), 'penumbra-fused-'));
afterAll(() => rmSync(root, { recursive: true }));

const common: TrainOptions = {
  model: 'resnet10',
  stem: 'standard',
  epochs: 1,
  batchSize: 8,
  threads: 1,
  workers: 0,
  precision: 'float32',
};

/** @param stopAfter steps */
async function train(name: string, settings: TrainOptions, stopAfter = Number.POSITIVE_INFINITY) {
  const folder = join(root, name);
  const stop = new AbortController();
  let steps = 0;
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  const { finished } = await fit({
    config: resolveConfig({ ...common, ...settings }),
    dataset: phantoms(60),
    dataPath: 'phantom',
    folder,
    signal: stop.signal,
    onEvent: ({ type }) => {
      if (type === 'step' && ++steps >= stopAfter) stop.abort();
    },
  });
  expect(finished).toBe(stopAfter === Number.POSITIVE_INFINITY);
  const file = join(folder, 'config.json');
  return { file, description: JSON.parse(readFileSync(file, 'utf8')) as RunDescription };
}

const weights = (name: string) => readFileSync(join(root, name, 'model.safetensors'));

test('a run says whether it used them, and off is off', async () => {
  const { description: chosen } = await train('auto', {});
  expect(chosen.mode.fused).toBe(canFuse('float32'));
  const { description: off } = await train('off', { fused: 'off' });
  expect(off.config.fused).toBe('off');
  expect(off.mode.fused).toBe(false);
  if (canFuse('float32')) expect(weights('auto').equals(weights('off'))).toBe(false);
});

test('a run that was begun before there were any goes on without them, bit for bit', async () => {
  await train('whole', { fused: 'off' });
  const { file, description } = await train('before', { fused: 'off' }, 2);
  const { fused: _, ...config } = description.config;
  const { fused: __, ...mode } = description.mode;
  writeFileSync(file, JSON.stringify({ ...description, config, mode }));
  await train('before', {});
  expect(weights('before').equals(weights('whole'))).toBe(true);
});

test('one that was begun with them does not become one without', async () => {
  await train('changed', {}, 2);
  await expect(train('changed', { fused: 'off' })).rejects.toThrow(
    /config\.fused is "auto" there and "off" now/,
  );
});
