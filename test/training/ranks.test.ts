/** Several processes train one run: `--processes`, torchrun and mpirun, and what happens when one is lost. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { distributed, readSafetensors, tidy } from '../../src/torch/index.ts';
import type { EpochMetrics, TrainOptions } from '../../src/training/index.ts';
import { type Rank, startRanks } from '../distributed/ranks.ts';
import type { RankRun } from './rank-child.ts';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const child = fileURLToPath(new URL('./rank-child.ts', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'penumbra-ranks-'));

// Seconds on an idle machine.
vi.setConfig({ testTimeout: 300_000 });
afterAll(() => rmSync(root, { recursive: true }));
let ranks: Rank[] = [];
afterEach(() => {
  for (const { child } of ranks) child.kill('SIGKILL');
});

/** 70 images to train on: the last batch of 16 has 6, which four ranks share as 2, 2, 2 and none. */
const settings: TrainOptions = {
  model: 'flat',
  objective: 'ols',
  epochs: 2,
  learningRate: 0.05,
  threads: 1,
  precision: 'float32',
  keepCheckpoints: true,
};

async function trainTogether(size: number, run: RankRun) {
  ranks = await startRanks(size, [child, JSON.stringify(run)]);
  for (const { ended, stderr } of ranks) expect((await ended).code, stderr()).toBe(0);
  return ranks.map(({ stdout }) => JSON.parse(stdout()) as { finished: boolean; hash: string });
}

const folder = (name: string) => join(root, name);

function metricsOf(name: string) {
  return readFileSync(join(folder(name), 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const { seconds: _, imagesPerSecond: __, ...rest } = JSON.parse(line) as EpochMetrics;
      return rest;
    });
}

/** What must not depend on how often a run was stopped. */
function outcome(name: string) {
  const last = readdirSync(join(folder(name), 'checkpoints'))
    .sort()
    .at(-1)!;
  const { tensors, metadata } = readSafetensors(join(folder(name), 'checkpoints', last));
  const { seconds: _, ...progress } = JSON.parse(metadata.progress!);
  const files = ['model.safetensors', 'objective.safetensors'].map((file) =>
    readFileSync(join(folder(name), file)).toString('base64'),
  );
  const state = tidy(() =>
    [...tensors].map(([key, tensor]) => [
      key,
      Buffer.from(new Uint8Array(tensor.toTypedArray().buffer)).toString('base64'),
    ]),
  );
  for (const tensor of tensors.values()) tensor.dispose();
  return { metrics: metricsOf(name), last, progress, files, state };
}

function weights(name: string): Map<string, Float32Array> {
  const { tensors } = readSafetensors(join(folder(name), 'model.safetensors'));
  return new Map(
    Array.from(tensors, ([key, tensor]) => {
      const values = Float32Array.from(tensor.toTypedArray() as ArrayLike<number | bigint>, Number);
      tensor.dispose();
      return [key, values];
    }),
  );
}

describe.skipIf(!distributed.available())('several processes (this LibTorch has c10d)', () => {
  test.each([
    [2, 1, 'flat'],
    [4, 1, 'flat'],
    [2, 2, 'flat'],
    [2, 1, 'normed'],
    [4, 1, 'normed'],
    [4, 2, 'normed'],
  ])(
    '%i ranks, batches added up: %i, %s: weights are equal everywhere, and those of one process with whole batches',
    async (size, accumulate, model) => {
      const name = `${size}x${accumulate}-${model}`;
      const all = { ...settings, model, accumulate, syncBatchNorm: model === 'normed' };
      const own = { ...all, batchSize: 16 / size };
      const together = await trainTogether(size, { folder: folder(name), settings: own });
      expect(new Set(together.map(({ hash }) => hash)).size).toBe(1);
      const alone = { folder: folder(`${name}-alone`), settings: { ...all, batchSize: 16 } };
      const { status, stderr } = spawnSync(process.execPath, [child, JSON.stringify(alone)], {
        encoding: 'utf8',
      });
      expect(status, stderr).toBe(0);
      const expected = weights(`${name}-alone`);
      for (const [key, values] of weights(name))
        for (const [i, value] of values.entries())
          expect(value, `${key} ${i}`).toBeCloseTo(expected.get(key)![i]!, 5);
      const [a, b] = [metricsOf(name), metricsOf(`${name}-alone`)];
      for (const [i, { trainLoss, step, trainTop1, val }] of a.entries()) {
        expect(step).toBe(b[i]!.step);
        expect(trainLoss).toBeCloseTo(b[i]!.trainLoss, 5);
        expect(trainTop1).toBeCloseTo(b[i]!.trainTop1!, 10);
        expect(val!.nll).toBeCloseTo(b[i]!.val!.nll, 5);
        expect(val!.top1).toBe(b[i]!.val!.top1);
      }
      const description = JSON.parse(readFileSync(join(folder(name), 'config.json'), 'utf8'));
      expect(description.mode.ranks).toBe(size);
    },
  );

  test('a run of three that is stopped, or whose rank 0 is killed, goes on bit for bit; each rank has its own draws', async () => {
    const own = { ...settings, model: 'flat-dropout', mixup: 0.2, batchSize: 4, epochs: 3 };
    await trainTogether(3, { folder: folder('straight'), settings: own });
    const stopped = await trainTogether(3, { folder: folder('stopped'), settings: own, stopAfter: 8 });
    expect(stopped.map(({ finished }) => finished)).toEqual([false, false, false]);
    await trainTogether(3, { folder: folder('stopped'), settings: own });
    expect(outcome('stopped')).toEqual(outcome('straight'));

    const killed = { folder: folder('killed'), settings: { ...own, checkpointSteps: 4 } };
    ranks = await startRanks(3, [child, JSON.stringify({ ...killed, killAfter: 9 })]);
    expect((await ranks[0]!.ended).signal).toBe('SIGKILL');
    for (const { ended } of ranks.slice(1)) await ended;
    await trainTogether(3, killed);
    expect(outcome('killed')).toEqual(outcome('straight'));
    const names = outcome('straight').state.map(([name]) => name);
    expect(names).toEqual(expect.arrayContaining(['rank1.generator.state', 'rank2.objective.sums']));
  });

  test('broken files, and batches of one image, make no rank miss a step', async () => {
    const images = folder('broken-images');
    for (const name of ['a', 'b']) mkdirSync(join(images, name), { recursive: true });
    for (let i = 0; i < 22; i++) {
      const file = join(images, i % 2 ? 'a' : 'b', `${i}.png`);
      const pixels = Buffer.alloc(64, (i * 37) % 256);
      if (i % 3 === 0) writeFileSync(file, 'no image');
      else
        await sharp(pixels, { raw: { width: 8, height: 8, channels: 1 } })
          .png()
          .toFile(file);
    }
    const own = { ...settings, objective: 'hard', batchSize: 2, size: 8, workers: 0, epochs: 3 };
    const found = await trainTogether(2, { folder: folder('broken'), settings: own, data: images });
    expect(found[0]!.hash).toBe(found[1]!.hash);
    expect(JSON.parse(readFileSync(join(folder('broken'), 'done.json'), 'utf8')).broken).toHaveLength(8);
  });

  test('a method that does not add up what it observed is named, and one that cannot is refused', async () => {
    const forgetful = { ...settings, objective: 'forgetful', batchSize: 8 };
    ranks = await startRanks(2, [
      child,
      JSON.stringify({ folder: folder('forgetful'), settings: forgetful }),
    ]);
    for (const { ended, stderr } of ranks) {
      expect((await ended).code).toBe(1);
      expect(stderr()).toContain(
        "forgetful: its 'seen' is not the same on every rank at the end of an epoch",
      );
    }
  });

  test('--processes: one command, the same weights again; another number of processes is another run', async () => {
    const args = (out: string, processes: number) => [
      ...['train', 'phantom', '--phantom-images', '64', '--phantom-size', '32', '--model', 'resnet10'],
      ...[
        '--stem',
        'standard',
        '--batch-size',
        '8',
        '--epochs',
        '1',
        '--precision',
        'float32',
        '--threads',
        '1',
      ],
      ...['--objective', 'ols', '--processes', String(processes), '--out', out],
    ];
    const start = (words: string[]) => {
      const command = spawn(process.execPath, [main, ...words], {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const texts = { stdout: '', stderr: '' };
      command.stdout.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text));
      command.stderr.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text));
      return { command, texts, ended: once(command, 'close') };
    };
    const first = start(args('once', 2));
    await first.ended;
    expect(first.texts.stdout, first.texts.stderr).toBe('once\n');
    expect(first.command.exitCode).toBe(0);
    const second = start(args('twice', 2));
    await second.ended;
    const file = (out: string) => readFileSync(join(root, out, 'model.safetensors'));
    expect(file('twice').equals(file('once'))).toBe(true);

    cpSync(join(root, 'once'), join(root, 'other'), { recursive: true });
    rmSync(join(root, 'other', 'done.json'));
    const other = start(args('other', 3));
    await other.ended;
    expect(other.command.exitCode).toBe(1);
    expect(other.texts.stderr).toContain(
      'other was begun with 2 processes, and is now to go on with 3 processes\n  hint: start 2 processes again (--processes 2',
    );
  });
});

/** A torchrun, and the Python that has it. */
const torchrun = process.env.PENUMBRA_TORCHRUN;
describe.skipIf(torchrun === undefined || !existsSync(torchrun ?? ''))(
  'torchrun (PENUMBRA_TORCHRUN names it)',
  () => {
    /** Runs the child under torchrun. */
    function run(words: readonly string[], run: RankRun) {
      const args = ['--no-python', '--standalone', '--nproc-per-node', '2', ...words];
      return spawnSync(torchrun!, [...args, process.execPath, child, JSON.stringify(run)], {
        encoding: 'utf8',
      });
    }

    test('rank 0 is killed, and the restart goes on from the checkpoint to the same weights', async () => {
      const own = { ...settings, batchSize: 8, checkpointSteps: 2 };
      const { status, stderr } = run(['--max-restarts', '1'], {
        folder: folder('torchrun'),
        settings: own,
        killAfter: 5,
      });
      expect(status, stderr).toBe(0);
      expect(stderr).toContain('exitcode: -9');
      await trainTogether(2, { folder: folder('plain'), settings: own });
      const file = (name: string) => readFileSync(join(folder(name), 'model.safetensors'));
      expect(file('torchrun').equals(file('plain'))).toBe(true);
    });
  },
);

/** What else starts ranks, where this machine has it. srun asks a cluster for two tasks, so only what is named is run. */
const launchers: readonly { name: string; program: string | undefined; words: readonly string[] }[] = [
  {
    name: "OpenMPI's mpirun",
    program: 'mpirun.openmpi',
    words: ['--allow-run-as-root', '--oversubscribe', '-n', '2'],
  },
  { name: "MPICH's mpiexec", program: 'mpiexec.mpich', words: ['-n', '2'] },
  {
    name: 'srun (PENUMBRA_SRUN names it)',
    program: process.env.PENUMBRA_SRUN,
    words: ['--ntasks', '2', '--overcommit'],
  },
];
for (const [number, { name, program, words }] of launchers.entries()) {
  const here = program !== undefined && spawnSync(program, ['--version']).status === 0;
  test.skipIf(!here)(`${name} starts the ranks`, async () => {
    const own = { ...settings, batchSize: 8 };
    const run: RankRun = { folder: folder(`launcher-${number}`), settings: own };
    const command = [...words, process.execPath, child, JSON.stringify(run)];
    const { status, stderr } = spawnSync(program!, command, { encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    await trainTogether(2, { ...run, folder: folder(`plain-${number}`) });
    const file = (of: string) => readFileSync(join(folder(of), 'model.safetensors'));
    expect(file(`launcher-${number}`).equals(file(`plain-${number}`))).toBe(true);
  });
}
