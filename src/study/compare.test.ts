import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findingsOf, phantoms } from '../../test/training/small.ts';
import { splitObjectives } from '../cli/compare.ts';
import { type Findings, makeSubset, openDataset } from '../data/index.ts';
import type { Report } from '../judgement/index.ts';
import type { FigureResults } from '../judgement/parts/figures.ts';
import { escapeHtml } from '../page/index.ts';
import { type CompareOptions, compare } from './compare.ts';
import type { StudyEvent } from './study.ts';

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
  const events: StudyEvent[] = [];
  const done = await compare({ ...options, onEvent: (event) => events.push(event), ...changes });
  const steps = events.filter((event) => event.type === 'fit' && event.event.type === 'step').length;
  const states = events.flatMap((event) =>
    event.type === 'run' ? [`${event.run.method} ${event.run.seed} ${event.state}`] : [],
  );
  return { done, steps, states };
}

/** Without what tells when and how fast. */
function figures(result: Report): unknown {
  return JSON.parse(
    JSON.stringify(result, (key, value) =>
      /^(finished|seconds|imagesPerSecond|about)$/.test(key) ? undefined : value,
    ),
  );
}

let first: Report;

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
  first = done!.report;
}, 300_000);

test('trains every objective with every seed and judges them on the same samples', () => {
  const { judgement } = first.cells[0]!;
  expect(judgement.methods.map(({ id, runs }) => [id, runs])).toEqual([
    ['hard', ['seed 0', 'seed 1']],
    ['ols', ['seed 0', 'seed 1']],
  ]);
  expect(judgement.samples).toBe(options.dataset.splits.test!.length);
  const { methods, pairs } = judgement.parts.figures as FigureResults;
  expect(methods[0]!.versus).toBeNull();
  // A pair is measured once, and read as method − baseline.
  expect(pairs).toHaveLength(1);
  expect(methods[1]!.versus!.top1!.value).toBeCloseTo(
    methods[1]!.figures.top1!.value! - methods[0]!.figures.top1!.value!,
    12,
  );
  for (const { figures } of methods) {
    expect(figures['truth.ece']!.value).not.toBeNull();
    for (const name of ['ece', 'eceDebiased', 'smoothEce']) {
      expect(figures[name]!.low!).toBeLessThanOrEqual(figures[name]!.value!);
      expect(figures[name]!.value!).toBeLessThanOrEqual(figures[name]!.high!);
    }
  }
});

test('writes its result as JSON, Markdown and one HTML file', () => {
  const text = (name: string) => readFileSync(join(options.folder, name), 'utf8');
  const { verdicts, ...result } = JSON.parse(text('result.json'));
  expect(result).toEqual(JSON.parse(JSON.stringify(first)));
  expect(verdicts).toEqual([
    { cell: '', verdict: expect.objectContaining({ kind: expect.any(String) }), cautions: expect.any(Array) },
  ]);
  expect(text('report.html')).toContain(escapeHtml(verdicts[0].verdict.advice).slice(0, 20));
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
  expect(figures(done!.report)).toEqual(figures(first));
});

test('a stopped and resumed comparison gives what an undisturbed one gives', async () => {
  const { done } = await run({ folder: join(root, 'undisturbed') });
  expect(figures(done!.report)).toEqual(figures(first));
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

test('what a method asks of the data is missed before another is trained', async () => {
  const dataset = findingsOf(phantoms());
  const { train } = dataset.splits;
  const { errors: _, rates: __, ...plain } = train!.targets as Findings;
  const splits = { ...dataset.splits, train: makeSubset({ ...train!, targets: plain }) };
  const folder = join(root, 'lacking');
  for (const [objective, message] of [
    ['forward', /method forward: forward needs to know how often labels are wrong/],
    ['gls:rates=data', /method gls:rates=data: gls: rates=data was asked for, and the data have no rates/],
  ] as const) {
    const objectives = ['hard', objective];
    await expect(run({ objectives, dataset: { ...dataset, splits }, folder })).rejects.toThrow(message);
    expect(() => statSync(join(folder, 'runs'))).toThrow();
  }
});

test('a list of objectives keeps options with their objective', () => {
  expect(splitObjectives('hard,ols:variant=paper,alpha=0.3, ls ,')).toEqual([
    'hard',
    'ols:variant=paper,alpha=0.3',
    'ls',
  ]);
});
