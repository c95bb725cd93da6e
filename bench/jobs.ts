/**
 * `node bench/jobs.ts`: the time of a study of eight small runs with `--jobs 1` and with `--jobs 2`, training alone, and
 * whether each run's weights are those of the same run alone with as many threads. Each number of jobs is timed twice, in
 * turn, so that whatever else the machine does weighs on both; the load that it had is printed beside. Prints one JSON
 * object a line. `--jobs 4` takes another number in place of 2, `--epochs 6` makes the runs longer, and
 * `--network resnet18` takes another network.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { shareOfCores } from '../src/study/jobs/choose-jobs.ts';
import { JobPool } from '../src/study/jobs/job-pool.ts';
import { planStudy } from '../src/study/plan.ts';
import { openStudyData } from '../src/study/study-data.ts';
import { resolveStudy } from '../src/study/study-file.ts';
import { trainStudy } from '../src/study/train-study.ts';

/** What the whole is demanded to take with two jobs on two cores, as a share of what it takes with one. */
const DEMANDED = 0.75;

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '2' },
    epochs: { type: 'string', default: '3' },
    network: { type: 'string', default: 'resnet10' },
  },
  strict: false,
});
const many = Number(values.jobs);
const study = resolveStudy(
  {
    name: 'jobs',
    sets: { virtual: { path: 'phantom', phantom: { images: 300, size: 32 } } },
    networks: [String(values.network)],
    methods: ['hard', 'ls'],
    seeds: 4,
    settings: { epochs: Number(values.epochs), batchSize: 32, stem: 'small', evaluateEvery: 1000 },
  },
  'bench.json',
);
const sets = await openStudyData(study);
const cores = availableParallelism();
const root = mkdtempSync(join(tmpdir(), 'penumbra-bench-jobs-'));

/** Processor time of all processes of this machine that was not idle, in seconds. */
function busySeconds(): number {
  const [user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]!
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user! + nice! + system! + irq! + softirq!) / 100;
}

async function train(
  jobs: number,
  name: string,
): Promise<{ seconds: number; busy: number; weights: string[] }> {
  const { runs } = planStudy(study, sets, join(root, name), { threads: shareOfCores(jobs, cores) });
  const start = performance.now();
  const before = busySeconds();
  await using pool = new JobPool({ kind: 'study', study, code: [] }, jobs);
  const { finished, failed } = await trainStudy(runs, { trainer: pool });
  if (!finished || failed.size > 0) throw new Error('the runs did not finish');
  const seconds = (performance.now() - start) / 1000;
  const weights = runs.map((run) => readFileSync(join(run.folder, 'model.safetensors')).toString('base64'));
  return { seconds, busy: (busySeconds() - before) / seconds, weights };
}

try {
  const times = new Map<number, number[]>();
  let together: string[] = [];
  for (const round of [1, 2]) {
    for (const jobs of [1, many]) {
      const load = loadavg()[0]!;
      const { seconds, busy, weights } = await train(jobs, `round${round}-jobs${jobs}`);
      times.set(jobs, [...(times.get(jobs) ?? []), seconds]);
      if (jobs === many) together = weights;
      console.log(
        JSON.stringify({
          bench: 'jobs',
          jobs,
          threads: shareOfCores(jobs, cores),
          cores,
          runs: 8,
          seconds: Number(seconds.toFixed(1)),
          cores_busy_with_all_processes: Number(busy.toFixed(2)),
          load_before: Number(load.toFixed(1)),
        }),
      );
    }
  }
  const { runs } = planStudy(study, sets, join(root, 'alone'), { threads: shareOfCores(many, cores) });
  await trainStudy(runs);
  const same = runs.every(
    (run, i) => readFileSync(join(run.folder, 'model.safetensors')).toString('base64') === together[i],
  );
  const sum = (jobs: number) => times.get(jobs)!.reduce((a, b) => a + b, 0);
  console.log(
    JSON.stringify({
      bench: 'jobs',
      what: `time with ${many} jobs over time with 1`,
      ratio: Number((sum(many) / sum(1)).toFixed(3)),
      demanded: many === 2 && cores === 2 ? DEMANDED : null,
      weights_as_alone: same,
    }),
  );
  if (!same) process.exitCode = 1;
} finally {
  rmSync(root, { recursive: true });
}
