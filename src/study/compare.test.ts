import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { splitObjectives } from '../cli/compare.ts';
import { openDataset } from '../data/index.ts';
import { type CompareEvent, type CompareOptions, compare } from './compare.ts';
import type { StudyResult } from './result.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-compare-'));
afterAll(() => rmSync(root, { recursive: true }));

const options: CompareOptions = {
  settings: {
    model: 'resnet18',
    stem: 'standard',
    epochs: 1,
    batchSize: 16,
    threads: 1,
    precision: 'float32',
  },
  objectives: ['hard', 'ols'],
  seeds: 2,
  dataset: openDataset('phantom', { phantom: { images: 64, size: 32 } }),
  dataPath: 'phantom',
  folder: join(root, 'study'),
  replicates: 100,
  command: 'penumbra compare phantom',
};

async function run(changes: Partial<CompareOptions> = {}) {
  const events: CompareEvent[] = [];
  const done = await compare({ ...options, onEvent: (event) => events.push(event), ...changes });
  const steps = events.filter((event) => event.type === 'fit' && event.event.type === 'step').length;
  const states = events.flatMap((event) =>
    event.type === 'run' ? [`${event.objective} ${event.seed} ${event.state}`] : [],
  );
  return { done, steps, states };
}

/** Without what tells when and how fast. */
function figures(result: StudyResult): unknown {
  return JSON.parse(
    JSON.stringify(result, (key, value) =>
      /^(finished|seconds|imagesPerSecond)$/.test(key) ? undefined : value,
    ),
  );
}

let first: StudyResult;

beforeAll(async () => {
  const controller = new AbortController();
  const stopped = await run({
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === 'run' && event.number === 3) controller.abort();
    },
  });
  expect(stopped.done).toBeNull();
  const { done, states } = await run();
  // Two were finished before the abort, the third had one step.
  expect(states).toEqual([
    'hard 0 finished-before',
    'ols 0 finished-before',
    'hard 1 start',
    'hard 1 done',
    'ols 1 start',
    'ols 1 done',
  ]);
  first = done!.result;
}, 120_000);

test('trains every objective with every seed and judges them on the same samples', () => {
  expect(first.methods.map(({ objective, runs }) => [objective, runs.map(({ seed }) => seed)])).toEqual([
    ['hard', [0, 1]],
    ['ols', [0, 1]],
  ]);
  expect(first.data).toMatchObject({
    split: 'test',
    broken: 0,
    samples: options.dataset.splits.test!.length,
  });
  expect(first.pairs.map(({ first: a, second: b }) => [a, b])).toEqual([['ols', 'hard']]);
  for (const { summary } of first.methods) {
    expect(summary.runs).toBe(2);
    expect(summary.truth).toBeDefined();
    expect(summary.ece.low!).toBeLessThanOrEqual(summary.ece.value!);
  }
});

test('writes its result as JSON, Markdown and one HTML file', () => {
  const text = (name: string) => readFileSync(join(options.folder, name), 'utf8');
  expect(JSON.parse(text('result.json'))).toEqual(JSON.parse(JSON.stringify(first)));
  expect(text('result.md')).toContain('Online label smoothing');
  expect(text('report.html')).toMatch(/^<!doctype html>/i);
  expect(text('report.html')).not.toMatch(/<(script|link|img)[^>]+(src|href)="https?:/i);
});

test('finished runs are not run again, and the same result comes out', async () => {
  const weights = join(options.folder, 'runs', 'hard-seed0', 'model.safetensors');
  const { mtimeMs } = statSync(weights);
  const { done, steps, states } = await run();
  expect(steps).toBe(0);
  expect(states).toHaveLength(4);
  for (const state of states) expect(state).toContain('finished-before');
  expect(statSync(weights).mtimeMs).toBe(mtimeMs);
  expect(figures(done!.result)).toEqual(figures(first));
});

test('a stopped and resumed comparison gives what an undisturbed one gives', async () => {
  const { done } = await run({ folder: join(root, 'undisturbed') });
  expect(figures(done!.result)).toEqual(figures(first));
});

test.each([
  [{ objectives: [] }, 'no objectives were given'],
  [{ objectives: ['ls', 'hard', 'ls'] }, "objective 'ls' is given twice"],
  [{ objectives: ['hard', 'ls:epsilon=3'] }, 'epsilon must be in [0, 1], got 3'],
  [{ seeds: 0 }, 'seeds: expected a whole number from 1, got 0'],
  [{ settings: { epoch: 1 } as object }, "there is no setting 'epoch'"],
])('%j is an error before anything is trained', async (changes, message) => {
  await expect(run({ ...changes, folder: join(root, 'never') })).rejects.toThrow(message);
  expect(() => statSync(join(root, 'never'))).toThrow();
});

test('a list of objectives keeps options with their objective', () => {
  expect(splitObjectives('hard,ols:variant=paper,alpha=0.3, ls ,')).toEqual([
    'hard',
    'ols:variant=paper,alpha=0.3',
    'ls',
  ]);
});
