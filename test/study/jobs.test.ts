import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chooseJobs, JOBS_FILE, shareOfCores } from '../../src/study/jobs/choose-jobs.ts';
import { JobPool } from '../../src/study/jobs/job-pool.ts';
import { type PlannedRun, planStudy } from '../../src/study/plan.ts';
import { openStudyData } from '../../src/study/study-data.ts';
import { resolveStudy } from '../../src/study/study-file.ts';
import { type TrainEvent, trainStudy } from '../../src/study/train-study.ts';
import { firstThatPays } from '../../src/training/index.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-jobs-'));
afterAll(() => rmSync(root, { recursive: true }));

/** Eight runs; four of them learn from the other four. */
const tiny = {
  name: 'tiny',
  sets: { virtual: { path: 'phantom', phantom: { images: 60, size: 32 } } },
  networks: ['resnet10'],
  methods: ['hard', 'tfkd-self'],
  seeds: 4,
  settings: { epochs: 2, batchSize: 8, size: 8, stem: 'small', precision: 'float32', checkpointSteps: 2 },
  embeddings: false,
  conformal: false,
  calibration: [],
  replicates: 20,
};
const file = join(root, 'tiny.json');
writeFileSync(file, JSON.stringify(tiny));
const study = resolveStudy(tiny, file);
const sets = await openStudyData(study);
const source = { kind: 'study', study, code: [] } as const;

function plan(folder: string, seeds = 4): PlannedRun[] {
  return planStudy(study, sets, join(root, folder), { threads: 1 }).runs.filter(({ seed }) => seed < seeds);
}

async function train(
  runs: readonly PlannedRun[],
  {
    jobs = 2,
    memory,
    onEvent = () => {},
  }: { jobs?: number; memory?: () => number; onEvent?: (event: TrainEvent) => void } = {},
) {
  const busy = new Set<PlannedRun>();
  const seen = { atOnce: 0, notices: [] as string[], failed: [] as string[] };
  await using pool = new JobPool(source, jobs, { ...(memory && { memory }) });
  const outcome = await trainStudy(runs, {
    trainer: pool,
    onEvent(event) {
      if (event.type === 'notice') seen.notices.push(event.message);
      if (event.type === 'run' && event.state === 'failed') seen.failed.push(event.run.method);
      if (event.type === 'run' && event.state !== 'start') busy.delete(event.run);
      if (event.type === 'fit' && event.event.type === 'step') {
        // A student never learns before its teacher knows.
        if (event.run.teacher !== undefined)
          expect(existsSync(join(event.run.teacher.folder, 'done.json'))).toBe(true);
        busy.add(event.run);
        seen.atOnce = Math.max(seen.atOnce, busy.size);
      }
      onEvent(event);
    },
  }).catch((error: Error) => error);
  return { outcome, ...seen };
}

function weights(run: PlannedRun): string {
  return readFileSync(join(run.folder, 'model.safetensors')).toString('base64');
}

/** The process that trains a run. */
function holder(run: { readonly folder: string }): number {
  return (JSON.parse(readFileSync(join(run.folder, 'run.lock'), 'utf8')) as { pid: number }).pid;
}

/** Trained one after another in this process, with one thread. */
let alone: string[];

beforeAll(async () => {
  const runs = plan('alone');
  const { finished } = await trainStudy(runs);
  expect(finished).toBe(true);
  alone = runs.map(weights);
}, 600_000);

test('eight runs, two at a time, give the weights of single runs with as many threads', async () => {
  const runs = plan('together');
  expect(runs).toHaveLength(8);
  const { outcome, atOnce } = await train(runs);
  expect(outcome).toEqual({ finished: true, failed: new Map() });
  expect(atOnce).toBe(2);
  expect(runs.map(weights)).toEqual(alone);
  // The same call finds them finished and starts no process.
  const again = await train(runs);
  expect(again.outcome).toEqual({ finished: true, failed: new Map() });
  expect(again.atOnce).toBe(0);
}, 600_000);

test('a killed job is replaced, and its run goes on from its checkpoint with the same weights', async () => {
  const runs = plan('killed', 2);
  let resumedAt = 0;
  let killed = false;
  const { outcome, notices } = await train(runs, {
    onEvent(event) {
      if (event.type !== 'fit' || event.run !== runs[0]) return;
      if (event.event.type === 'resume') resumedAt = event.event.step;
      if (event.event.type === 'step' && event.event.step >= 3 && !killed) {
        killed = true;
        process.kill(holder(event.run), 'SIGKILL');
      }
    },
  });
  expect(outcome).toEqual({ finished: true, failed: new Map() });
  expect(notices).toEqual(['its process was ended by SIGKILL; another goes on from its checkpoint']);
  expect(resumedAt).toBeGreaterThanOrEqual(2);
  expect(runs.map(weights)).toEqual(alone.slice(0, runs.length));
}, 600_000);

test('a job that dies twice is an error with its run’s name, and the others are finished', async () => {
  const runs = plan('dies', 2);
  const { outcome, failed } = await train(runs, {
    onEvent(event) {
      if (event.type === 'fit' && event.run === runs[0] && event.event.type === 'step')
        process.kill(holder(event.run), 'SIGKILL');
    },
  });
  expect(outcome).toMatchObject({
    code: 'study/job-died',
    message: expect.stringMatching(/^virtual resnet10 hard seed 0: .*SIGKILL, twice/),
  });
  // Its student cannot be trained.
  expect(failed).toEqual(['hard', 'tfkd-self']);
  expect(runs.slice(2).map(weights)).toEqual(alone.slice(2, 4));
}, 600_000);

test('what a job cannot write is said with its run’s name, and the others are finished', async () => {
  const runs = plan('unwritable', 2).filter(({ method }) => method === 'hard');
  const { outcome } = await train(runs, {
    onEvent(event) {
      if (event.type === 'fit' && event.run === runs[0] && event.event.type === 'step')
        mkdirSync(join(event.run.folder, 'model.safetensors'), { recursive: true });
    },
  });
  expect(outcome).toMatchObject({
    code: 'torch/file',
    message: expect.stringContaining('virtual resnet10 hard seed 0: '),
  });
  expect(runs.slice(1).map(weights)).toEqual(alone.slice(2, 3));
}, 600_000);

test('no job is started that the memory does not carry', async () => {
  const runs = plan('small-memory', 1);
  const other = plan('small-memory', 2).filter(({ seed, method }) => seed === 1 && method === 'hard');
  const { outcome, atOnce, notices } = await train([...runs.slice(0, 1), ...other], { memory: () => 0 });
  expect(outcome).toEqual({ finished: true, failed: new Map() });
  expect(atOnce).toBe(1);
  expect(notices[0]).toMatch(
    /^waits for memory: a run takes \d+\.\d GB, and 0\.0 GB will be free; 1 of 2 jobs are at work$/,
  );
}, 600_000);

test('a run that was begun keeps its number of threads', () => {
  const threads = (n: number) =>
    new Set(
      planStudy(study, sets, join(root, 'alone'), { threads: n }).runs.map((run) => run.config.threads),
    );
  expect(threads(7)).toEqual(new Set([1]));
  expect(
    new Set(
      planStudy(study, sets, join(root, 'fresh'), { threads: 7 }).runs.map((run) => run.config.threads),
    ),
  ).toEqual(new Set([7]));
});

test('auto measures, and the folder keeps what it found', async () => {
  const folder = join(root, 'auto');
  const runs = planStudy(study, sets, folder).runs.slice(0, 2);
  mkdirSync(folder);
  const notices: string[] = [];
  const choose = () => chooseJobs({ count: 'auto', source }, runs, folder, (text) => notices.push(text));
  const first = await choose();
  const cores = availableParallelism();
  const kept = JSON.parse(readFileSync(join(folder, JOBS_FILE), 'utf8'));
  expect(kept).toMatchObject({ ...first, cores, run: { set: 'virtual', network: 'resnet10' } });
  expect(kept.measured[0]).toMatchObject({ jobs: 1, threads: cores });
  for (const { imagesPerSecond } of kept.measured) expect(imagesPerSecond).toBeGreaterThan(0);
  expect(await choose()).toMatchObject(first);
  expect(notices.at(-1)).toContain('as measured before');
}, 600_000);

test('more jobs must be worth their memory', () => {
  const speeds = (...all: number[]) =>
    all.map((imagesPerSecond, i) => ({ jobs: 2 ** i, threads: 1, imagesPerSecond }));
  expect(firstThatPays(speeds(41, 50)).jobs).toBe(2);
  expect(firstThatPays(speeds(41, 42)).jobs).toBe(1);
  expect(firstThatPays(speeds(41, 50, 51)).jobs).toBe(2);
  expect([1, 2, 3, 8].map((jobs) => shareOfCores(jobs, 4))).toEqual([4, 2, 1, 1]);
});

test.each([0, 1.5, Number.NaN])('%j jobs are an error', async (count) => {
  await expect(chooseJobs({ count, source }, [], root, () => {})).rejects.toThrow(
    'a whole number from 1 or auto',
  );
});

const long = join(root, 'long.json');
writeFileSync(
  long,
  JSON.stringify({ ...tiny, methods: ['hard'], settings: { ...tiny.settings, epochs: 2000 } }),
);

function penumbra(...args: string[]) {
  const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (text += data));
  return { child, text: () => text, exited: once(child, 'exit').then(([code]) => code as number | null) };
}

test('Ctrl-C stops all jobs at a checkpoint, the same command goes on, and no job outlives a killed study', async () => {
  const folder = join(root, 'interrupted');
  const runs = [0, 1].map((seed) => ({
    folder: join(folder, 'virtual', 'resnet10', 'runs', `hard-seed${seed}`),
  }));
  const start = async (until: (run: { folder: string }) => boolean) => {
    const started = penumbra('study', long, '--out', folder, '--jobs', '2');
    while (!runs.every(until) && started.child.exitCode === null) await sleep(20);
    expect(started.child.exitCode, started.text()).toBeNull();
    return started;
  };
  const first = await start((run) => existsSync(join(run.folder, 'checkpoints')));
  first.child.kill('SIGINT');
  expect(await first.exited, first.text()).toBe(130);
  expect(first.text()).toContain('the same command goes on');
  for (const run of runs) expect(existsSync(join(run.folder, 'run.lock'))).toBe(false);

  const second = await start((run) => existsSync(join(run.folder, 'run.lock')));
  const processes = runs.map(holder);
  expect(new Set([...processes, second.child.pid]).size).toBe(3);
  while (second.text().split('going on from step').length < 3) await sleep(20);
  second.child.kill('SIGKILL');
  await second.exited;
  const deadline = performance.now() + 30_000;
  const isThere = (pid: number) =>
    existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`).length > 0;
  while (processes.some(isThere) && performance.now() < deadline) await sleep(50);
  expect(processes.filter(isThere)).toEqual([]);
}, 600_000);
