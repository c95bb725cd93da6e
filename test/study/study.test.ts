import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultCalibrators, defaultConformalMethods } from '../../src/calibration/index.ts';
import type { Report } from '../../src/judgement/index.ts';
import type { CalibratorResult } from '../../src/judgement/parts/calibrators.ts';
import type { ConformalResult } from '../../src/judgement/parts/conformal.ts';
import type { EmbeddingResults } from '../../src/judgement/parts/embeddings.ts';
import type { EnsembleResults } from '../../src/judgement/parts/ensembles.ts';
import type { FigureResults } from '../../src/judgement/parts/figures.ts';
import { planStudy, selectRuns } from '../../src/study/plan.ts';
import { runStudy, type StudyEvent, type StudyOutcome } from '../../src/study/study.ts';
import { openStudyData } from '../../src/study/study-data.ts';
import { resolveStudy } from '../../src/study/study-file.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-study-'));
afterAll(() => rmSync(root, { recursive: true }));

/** Whole and tiny: every part of the judgement, in a few seconds. */
const tiny = {
  name: 'tiny',
  sets: {
    virtual: {
      path: 'phantom',
      phantom: { images: 60, size: 32 },
      fractions: { val: 0.25, test: 0.35 },
    },
  },
  networks: ['resnet10'],
  methods: ['ols', 'tfkd-self'],
  seeds: 2,
  settings: {
    epochs: 2,
    batchSize: 8,
    size: 8,
    threads: 1,
    precision: 'float32',
    cropPadding: 0,
    checkpointSteps: 4,
    stem: 'small',
  },
  embeddings: { sample: 12, k: 3, pictures: ['tsne'] },
  certificates: { images: 2, samples: 100, radii: [0, 0.1] },
  replicates: 50,
};
const file = join(root, 'tiny.json');
writeFileSync(file, JSON.stringify(tiny));
const study = resolveStudy(tiny, file);

async function run(folder: string, signal?: AbortSignal, onEvent: (event: StudyEvent) => void = () => {}) {
  const states: string[] = [];
  let steps = 0;
  const outcome = await runStudy({
    study,
    folder: join(root, folder),
    command: 'penumbra study tiny.json',
    ...(signal && { signal }),
    onEvent(event) {
      if (event.type === 'run') states.push(`${event.run.method} ${event.run.seed} ${event.state}`);
      if (event.type === 'fit' && event.event.type === 'step') steps++;
      onEvent(event);
    },
  });
  return { outcome, states, steps };
}

/** Every file of the tables, by name. */
function tables(folder: string): Record<string, string> {
  const path = join(root, folder, 'tables');
  return Object.fromEntries(readdirSync(path).map((name) => [name, readFileSync(join(path, name), 'utf8')]));
}

function judged(outcome: StudyOutcome): Report {
  if (outcome.state !== 'judged') throw new Error(`the study is ${outcome.state}`);
  return outcome.report;
}

let whole: Awaited<ReturnType<typeof run>>;
beforeAll(async () => {
  whole = await run('whole');
}, 300_000);

test('trains teachers first, every method once before any twice, and judges all of them', () => {
  expect(whole.states).toEqual([
    'hard 0 start',
    'hard 0 done',
    'ols 0 start',
    'ols 0 done',
    'tfkd-self 0 start',
    'tfkd-self 0 done',
    'hard 1 start',
    'hard 1 done',
    'ols 1 start',
    'ols 1 done',
    'tfkd-self 1 start',
    'tfkd-self 1 done',
  ]);
  const report = judged(whole.outcome);
  const { judgement } = report.cells[0]!;
  const part = <R>(name: string) => judgement.parts[name] as R;
  expect(report.missing).toEqual([]);
  expect(judgement.baseline).toBe('ols');
  // The teacher is not one of the methods.
  expect(judgement.methods.map(({ id }) => id)).toEqual(['ols', 'tfkd-self']);
  const none = part<FigureResults>('figures');
  const calibrated = part<readonly CalibratorResult[]>('calibration');
  expect(calibrated.map(({ calibrator }) => calibrator)).toEqual([...defaultCalibrators]);
  for (const { methods, runs } of [none, ...calibrated]) {
    expect(methods[0]!.versus).toBeNull();
    expect(methods[1]!.versus!.eceDebiased!.p).not.toBeNull();
    expect(methods[1]!.figures['truth.ece']!.value).not.toBeNull();
    for (const { method, figures } of methods) {
      const seeds = runs[method]!;
      expect(seeds.map(({ run: name }) => name)).toEqual(['seed 0', 'seed 1']);
      expect(figures.top1!.value).toBeCloseTo((seeds[0]!.figures.top1! + seeds[1]!.figures.top1!) / 2, 12);
    }
  }
  // A temperature changes no order of classes.
  const temperature = calibrated.find(({ calibrator }) => calibrator === 'temperature')!;
  expect(temperature.methods.map(({ figures }) => figures.top1!.value)).toEqual(
    none.methods.map(({ figures }) => figures.top1!.value),
  );
  expect(part<readonly ConformalResult[]>('conformal').map(({ kind }) => kind)).toEqual([
    ...defaultConformalMethods,
    'class-lac',
  ]);
  expect(part<EnsembleResults>('ensembles').map(({ networks }) => networks)).toEqual([2, 2]);
  expect(part<EmbeddingResults>('embeddings').pictures[0]!.methods[1]!.points).toHaveLength(24);
  expect(part<{ radii: number[] }>('certificates').radii).toHaveLength(2);
  expect(judgement.absent.centres!.quiet).toBe(true);
});

test('result.json holds the report, and the verdict on each cell', () => {
  const { outcome } = whole;
  const text = readFileSync(join(root, 'whole', 'result.json'), 'utf8');
  const { verdicts, ...report } = JSON.parse(text);
  expect(report).toEqual(JSON.parse(JSON.stringify(judged(outcome))));
  expect(verdicts).toHaveLength(report.cells.length);
  for (const { verdict } of verdicts) expect(verdict.sentence).toMatch(/^\S.*\.$/s);
});

test('a finished study is not trained or judged again, and writes the same tables', async () => {
  const before = tables('whole');
  const messages: string[] = [];
  const { steps, states } = await run('whole', undefined, (event) => {
    if (event.type === 'judge') messages.push(event.message);
  });
  expect(steps).toBe(0);
  expect(states.every((state) => state.endsWith('finished-before'))).toBe(true);
  expect(messages).toEqual([]);
  expect(tables('whole')).toEqual(before);
});

describe('a study that is killed inside a run and stopped inside another', () => {
  test('ends with the same tables, byte for byte', async () => {
    const folder = join(root, 'killed');
    const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [main, 'study', file, '--out', folder], { stdio: 'ignore' });
    const second = join(folder, 'virtual', 'resnet10', 'runs', 'ols-seed0', 'checkpoints');
    const exited = once(child, 'exit');
    while (!existsSync(second) || readdirSync(second).length === 0) {
      if (child.exitCode !== null) throw new Error('it ended before it could be killed');
      await sleep(5);
    }
    child.kill('SIGKILL');
    await exited;
    expect(existsSync(join(folder, 'result.json'))).toBe(false);

    const controller = new AbortController();
    const stopped = await run('killed', controller.signal, (event) => {
      if (event.type === 'fit' && event.run.method === 'tfkd-self' && event.event.type === 'step')
        controller.abort();
    });
    expect(stopped.outcome.state).toBe('stopped');
    expect(stopped.states[0]).toBe('hard 0 finished-before');

    const { outcome, steps } = await run('killed');
    expect(judged(outcome).missing).toEqual([]);
    expect(steps).toBeLessThan(whole.steps);
    expect(tables('killed')).toEqual(tables('whole'));
  }, 300_000);
});

test('what is not finished is judged only when asked to', async () => {
  const options = { study, folder: join(root, 'part'), command: 'penumbra study tiny.json' };
  const first = await runStudy({ ...options, only: ['method=ols', 'seed=1'] });
  expect(first.state === 'waiting' && first.left.map(({ method, seed }) => [method, seed])).toEqual([
    ['ols', 0],
    ['tfkd-self', 0],
    ['tfkd-self', 1],
  ]);
  const partial = await runStudy({ ...options, only: ['method=ols', 'seed=1'], partial: true });
  expect(judged(partial).missing).toEqual([
    'virtual, resnet10: 1 of 2 runs of ols are finished.',
    'virtual, resnet10: 0 of 2 runs of tfkd-self are finished.',
  ]);
}, 300_000);

describe('the choice of runs', async () => {
  const plan = planStudy(study, await openStudyData(study), join(root, 'never'));
  const chosen = (only: string[], shard?: string) =>
    selectRuns(plan, { only, shard }).map(({ method, seed }) => `${method} ${seed}`);

  test('shards divide the runs, each with the teachers that it needs', () => {
    expect(chosen([], '1/2')).toEqual(['hard 0', 'ols 0', 'tfkd-self 0']);
    expect(chosen([], '2/2')).toEqual(['hard 1', 'ols 1', 'tfkd-self 1']);
    expect(plan.runs).toHaveLength(6);
  });

  test('filters', () => {
    expect(chosen(['method=tfkd-self', 'seed=1'])).toEqual(['hard 1', 'tfkd-self 1']);
    expect(chosen(['method=ols'])).toEqual(['ols 0', 'ols 1']);
  });

  test.each([
    [['methd=ols'], undefined, 'expected set=, network=, method= or seed='],
    [['method=olz'], undefined, "the study has no method 'olz'"],
    [['seed=7'], undefined, "the study has no seed '7'"],
    [[], '3/2', 'expected i/n'],
    [[], 'x', 'expected i/n'],
  ])('%j, shard %s is an error', (only, shard, message) => {
    expect(() => chosen(only, shard)).toThrow(message);
  });
});
