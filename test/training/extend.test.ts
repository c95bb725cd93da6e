import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { setThreads } from '../../src/torch/index.ts';
import { type FitEvent, fit, RunFolder, resolveConfig, type TrainOptions } from '../../src/training/index.ts';
import { findingsOf, flat, flatWithDropout, phantoms } from './small.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-extend-'));
const at = (name: string) => join(root, name);
const data = { labels: phantoms(), findings: findingsOf(phantoms()) };

vi.setConfig({ testTimeout: 120_000 });
beforeAll(() => setThreads(1));
afterAll(() => rmSync(root, { recursive: true }));

async function train(
  name: string,
  settings: TrainOptions,
  more: { extend?: number; stopAt?: number; kind?: keyof typeof data; model?: typeof flat } = {},
) {
  const controller = new AbortController();
  const events: FitEvent[] = [];
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  const result = await fit({
    config: resolveConfig({
      epochs: 2,
      batchSize: 12,
      learningRate: 0.05,
      threads: 1,
      workers: 0,
      device: 'cpu',
      precision: 'float32',
      ...settings,
    }),
    model: more.model ?? flat,
    dataset: data[more.kind ?? 'labels'],
    dataPath: 'phantom',
    folder: at(name),
    extend: more.extend,
    signal: controller.signal,
    onEvent(event) {
      events.push(event);
      if (event.type === 'step' && event.step === more.stopAt) controller.abort();
    },
  });
  return { ...result, events };
}

const weights = (name: string) => readFileSync(join(at(name), 'model.safetensors'));

describe('more epochs on a finished run', () => {
  test.each([
    ['ols', { objective: 'ols' }, 'labels'],
    ['ema, mixup and dropout', { objective: 'ls', ema: 0.9, mixup: 0.2 }, 'labels'],
    ['findings', { objective: 'hard' }, 'findings'],
    ['kept checkpoints', { objective: 'hard', keepCheckpoints: true }, 'labels'],
  ] as const)(
    'start from the kept weights, and end the same wherever they were stopped: %s',
    async (name, settings, kind) => {
      const model = name.startsWith('ema') ? flatWithDropout : flat;
      const base = `base-${name}`;
      await train(base, settings, { kind, model });
      const before = weights(base);
      const steps = new RunFolder(at(base)).metrics().at(-1)!.step;
      for (const copy of ['whole', 'stopped']) cpSync(at(base), at(`${copy}-${name}`), { recursive: true });

      const whole = await train(`whole-${name}`, settings, { extend: 3, kind, model });
      expect(whole.finished).toBe(true);
      expect(whole.epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5]);
      expect(weights(`whole-${name}`).equals(before)).toBe(false);
      const notices = whole.events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
      expect(notices.join()).toContain('3 epochs more from the weights after 2: the schedule begins anew');
      const description = new RunFolder(at(`whole-${name}`)).description();
      expect(description.config.epochs).toBe(2);
      expect(description.extensions).toMatchObject([{ epochs: 3, after: { epochs: 2, steps } }]);

      for (const stopAt of [steps + 1, steps + 10]) {
        const stopped = await train(`stopped-${name}`, settings, { extend: 3, stopAt, kind, model });
        expect(stopped.finished).toBe(false);
        expect(() => existsSync(join(at(`stopped-${name}`), 'done.json'))).not.toThrow();
        expect(new RunFolder(at(`stopped-${name}`)).finished).toBe(false);
      }
      // Gone on with by the command that began it, or without --extend.
      expect((await train(`stopped-${name}`, settings, { kind, model })).finished).toBe(true);
      expect(weights(`stopped-${name}`).equals(weights(`whole-${name}`))).toBe(true);
      const lines = (copy: string) =>
        new RunFolder(at(`${copy}-${name}`))
          .metrics()
          .map(({ seconds: _, imagesPerSecond: __, ...line }) => line);
      expect(lines('stopped')).toEqual(lines('whole'));

      // The rate starts again, and once more for another extension.
      const again = await train(`whole-${name}`, settings, { extend: 1, kind, model });
      expect(again.epochs.at(-1)!.epoch).toBe(6);
      expect(new RunFolder(at(`whole-${name}`)).description().extensions).toHaveLength(2);
      expect((await train(`whole-${name}`, settings, { kind, model })).epochs).toHaveLength(6);
    },
  );

  test('is refused where there is no finished run, or other settings', async () => {
    await expect(train('nothing', {}, { extend: 2 })).rejects.toThrow(/is no run folder/);
    expect(existsSync(at('nothing'))).toBe(false);
    await train('half', { objective: 'hard' }, { stopAt: 3 });
    await expect(train('half', { objective: 'hard' }, { extend: 2 })).rejects.toThrow(/is not finished/);
    await train('half', { objective: 'hard' });
    await expect(train('half', { objective: 'ls' }, { extend: 2 })).rejects.toThrow(/holds another run/);
    await train('half', { objective: 'hard' }, { extend: 2, stopAt: 16 });
    await expect(train('half', { objective: 'hard' }, { extend: 5 })).rejects.toThrow(
      /is being extended by 2 epochs/,
    );
  });

  test('a run that fails before it begins leaves no folder', async () => {
    await expect(train('refused', { weights: at('nowhere.safetensors') })).rejects.toThrow();
    await expect(train('empty', { device: 'cuda:0' })).rejects.toThrow(/CUDA/);
    expect(existsSync(at('empty'))).toBe(false);
  });
});
