import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openDataset } from '../../src/data/index.ts';
import { evaluateRun, fit, RunFolder, resolveConfig } from '../../src/training/index.ts';

const data = join(process.env.PENUMBRA_TEST_DATA ?? '/nowhere', 'nih-1000');
const root = mkdtempSync(join(tmpdir(), 'penumbra-nih-'));
afterAll(() => rmSync(root, { recursive: true }));

test.skipIf(!existsSync(data))(
  'NIH ChestX-ray14 as published: 14 findings are trained, and judged on the official test list (PENUMBRA_TEST_DATA)',
  { timeout: 300_000 },
  async () => {
    const dataset = openDataset(data);
    const folder = join(root, 'run');
    const settings = { model: 'resnet10', objective: 'ols', epochs: 1, size: 32, ema: 0.9, threads: 1 };
    // biome-ignore lint/suspicious/noFocusedTests: it trains
    const { finished, epochs, broken } = await fit({
      config: resolveConfig({ ...settings, sampling: 'balanced' }),
      dataset,
      dataPath: data,
      folder,
    });
    expect({ finished, broken }).toEqual({ finished: true, broken: [] });
    expect(epochs[0]!.val!.auroc).toBeGreaterThan(0);
    expect(new RunFolder(folder).description().data.classes).toEqual(dataset.classes);
    const { predictions } = await evaluateRun(folder, dataset, 'test');
    const { targets, probabilities, classes } = predictions;
    expect(classes).toBe(14);
    expect(targets).toEqual(dataset.splits.test!.targets);
    expect(probabilities).toHaveLength(14 * dataset.splits.test!.length);
  },
);
