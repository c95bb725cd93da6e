/** `threads: 'auto'`: measured once, and kept with the run. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import {
  type FitEvent,
  fit,
  type RunDescription,
  resolveConfig,
  type TrainOptions,
} from '../../src/training/index.ts';
import { flat, phantoms } from './small.ts';

vi.setConfig({ testTimeout: 180_000 });
const root = mkdtempSync(join(tmpdir(), 'penumbra-threads-'));
afterAll(() => rmSync(root, { recursive: true }));

/** @param stopAfter steps */
async function train(name: string, threads: TrainOptions['threads'], stopAfter = Number.POSITIVE_INFINITY) {
  const folder = join(root, name);
  const stop = new AbortController();
  const events: FitEvent[] = [];
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  await fit({
    config: resolveConfig({ epochs: 2, batchSize: 8, workers: 0, precision: 'float32', threads }),
    model: flat,
    dataset: phantoms(60),
    dataPath: 'phantom',
    folder,
    signal: stop.signal,
    onEvent: (event) => {
      events.push(event);
      if (events.filter(({ type }) => type === 'step').length >= stopAfter) stop.abort();
    },
  });
  const description = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as RunDescription;
  const timed = events.some((event) => event.type === 'notice' && event.message.startsWith('timing'));
  return { description, timed };
}

test('auto is a measured number, kept with the run, which ends bit for bit as with that number', async () => {
  const begun = await train('auto', 'auto', 3);
  const { threads } = begun.description.config;
  expect(begun.timed).toBe(availableParallelism() > 1);
  expect(threads).toBeGreaterThanOrEqual(1);
  expect(threads).toBeLessThanOrEqual(availableParallelism());
  expect(begun.description.mode.threads).toBe(threads);
  const ended = await train('auto', 'auto');
  expect(ended.timed).toBe(false);
  expect(ended.description).toEqual(begun.description);
  await train('named', threads);
  const weights = (name: string) => readFileSync(join(root, name, 'model.safetensors'));
  expect(weights('auto').equals(weights('named'))).toBe(true);
});

test('a run that was begun with another number goes on with that', async () => {
  const begun = await train('before', 1, 3);
  const ended = await train('before', 'auto');
  expect(ended.timed).toBe(false);
  expect(ended.description).toEqual(begun.description);
});
