import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { expectCost } from '../../src/study/cost.ts';
import { planStudy } from '../../src/study/plan.ts';
import { openStudy, runStudy } from '../../src/study/study.ts';
import { openStudyData } from '../../src/study/study-data.ts';
import { resolveStudy } from '../../src/study/study-file.ts';
import { trainStudy } from '../../src/study/train-study.ts';
import { RunFolder } from '../../src/training/index.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-train-study-'));
afterAll(() => rmSync(root, { recursive: true }));

const tiny = {
  name: 'tiny',
  sets: { virtual: { path: 'phantom', phantom: { images: 40, size: 32 } } },
  networks: ['resnet10'],
  methods: ['hard', 'ls'],
  seeds: 1,
  settings: { epochs: 1, batchSize: 8, size: 8, stem: 'small', threads: 1, precision: 'float32' },
  embeddings: false,
  conformal: false,
  calibration: [],
  replicates: 20,
};
const file = join(root, 'tiny.json');
writeFileSync(file, JSON.stringify(tiny));
const study = resolveStudy(tiny, file);

test('a run that another process trains is passed over and looked at again', async () => {
  const { runs } = planStudy(study, await openStudyData(study), join(root, 'shared'));
  const elsewhere = new RunFolder(runs[0]!.folder).lock();
  const states: string[] = [];
  const { finished } = await trainStudy(runs, {
    lookEvery: 10,
    onEvent(event) {
      if (event.type === 'run') states.push(`${event.run.method} ${event.state}`);
      if (event.type === 'wait') {
        states.push(`wait ${event.runs}`);
        elsewhere[Symbol.dispose]();
      }
    },
  });
  expect(finished).toBe(true);
  expect(states).toEqual([
    'hard start',
    'hard elsewhere',
    'ls start',
    'ls done',
    'hard start',
    'hard elsewhere',
    'wait 1',
    'hard start',
    'hard done',
  ]);
});

test('a run that diverges leaves the others alone, and the result says so', async () => {
  const wild = resolveStudy(
    {
      ...tiny,
      methods: ['hard', { objective: 'ls', name: 'wild', settings: { learningRate: 1e30, warmUp: 0 } }],
    },
    file,
  );
  const outcome = await runStudy({ study: wild, folder: join(root, 'wild'), command: 'penumbra study' });
  if (outcome.state !== 'judged') throw new Error(`the study is ${outcome.state}`);
  expect([...outcome.failed.keys()].map(({ method }) => method)).toEqual(['wild']);
  expect(outcome.report.missing).toEqual(['virtual, resnet10: 0 of 1 runs of wild are finished.']);
  expect(readFileSync(outcome.files.markdown, 'utf8')).toContain('0 of 1 runs of wild are finished');
});

test('the time that is left follows the speed of the runs', async () => {
  const { runs } = planStudy(study, await openStudyData(study), join(root, 'clock'));
  const shares: number[] = [];
  let last: number | null = null;
  await trainStudy(runs, {
    onEvent(event) {
      if (event.type !== 'fit' || event.event.type !== 'step') return;
      shares.push(event.share);
      last = event.secondsLeft;
      expect(event.secondsLeft).toBeGreaterThanOrEqual(0);
    },
  });
  expect(shares).toEqual([...shares].sort((a, b) => a - b));
  expect(shares.at(-1)).toBeCloseTo(1, 6);
  expect(last).toBeCloseTo(0, 6);
});

test('the cost that is expected comes from timed steps, then from finished runs', async () => {
  const cost = async (folder: string) => {
    const [one] = await expectCost(await openStudy(study, join(root, folder)), () => {});
    return one!;
  };
  const before = await cost('never');
  expect(before).toMatchObject({ runs: 2, finished: 0, size: 8, source: 'timed steps' });
  expect(before.images).toBe((await openStudyData(study))[0]!.dataset.splits.train!.length);
  expect(before.secondsLeft).toBeGreaterThan(0);
  expect(existsSync(join(root, 'never'))).toBe(false);
  expect(await cost('clock')).toMatchObject({
    runs: 2,
    finished: 2,
    secondsLeft: 0,
    source: 'finished runs',
  });
});

function penumbra(...args: string[]) {
  const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (text += data));
  return { child, exited: once(child, 'exit').then(([code]) => ({ code: code as number, text })) };
}

test('Ctrl-C stops with 130 and leaves what the same command goes on from', async () => {
  const folder = join(root, 'interrupted');
  const long = join(root, 'long.json');
  writeFileSync(long, JSON.stringify({ ...tiny, settings: { ...tiny.settings, epochs: 1000 } }));
  const { child, exited } = penumbra('study', long, '--out', folder);
  const checkpoints = join(folder, 'virtual', 'resnet10', 'runs', 'hard-seed0', 'checkpoints');
  while (!existsSync(checkpoints) && child.exitCode === null) await sleep(5);
  child.kill('SIGINT');
  const { code, text } = await exited;
  expect(code, text).toBe(130);
  expect(text).toContain('the same command goes on');
}, 300_000);

test('the command line: plan, schema, and errors before anything is written', async () => {
  const plan = await penumbra('study', file, '--dry-run', '--out', join(root, 'dry')).exited;
  expect(plan.code, plan.text).toBe(0);
  expect(plan.text).toMatch(/virtual +resnet10 +8 px +4\.9 M +2/);
  expect(plan.text).toContain('2 runs, about');
  expect(existsSync(join(root, 'dry'))).toBe(false);
  expect((await penumbra('study').exited).code).toBe(2);
  const wrong = await penumbra('study', file, '--data', 'virtul=x').exited;
  expect(wrong.code).toBe(1);
  expect(wrong.text).toContain("did you mean 'virtual'?");
}, 300_000);
