import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { RunDescription } from '../../src/training/index.ts';
import { fromSources, method, network, program } from './example.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-own-'));
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const at = (name: string) => join(root, name);
const write = (name: string, text: string) => writeFileSync(at(name), text);

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });
afterAll(() => rmSync(root, { recursive: true }));

/** The command line in the folder of the user's files, which has no package and no link to the project. */
function penumbra(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...words], {
    cwd: root,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

function train(...words: string[]) {
  const data = [
    'phantom',
    '--phantom-images',
    '100',
    '--phantom-size',
    '32',
    '--epochs',
    '2',
    '--batch-size',
    '8',
  ];
  return penumbra('train', ...data, '--threads', '1', '--precision', 'float32', ...words);
}

const description = (run: string) =>
  JSON.parse(readFileSync(at(`${run}/config.json`), 'utf8')) as RunDescription;

// Fifteen lines, with a memory: the running mean of each class's own probability sharpens its target.
const remembering = `
import { defineObjective, z } from 'penumbra/objectives';
import { aten, keep } from 'penumbra/torch';
export default defineObjective({
  name: 'remembering',
  tasks: ['one-of-k'],
  options: z.strictObject({ share: z.number().min(0).max(1).default(0.1).describe('of the memory') }),
  make({ share }, { classes, device }) {
    const memory = keep(aten.full([classes], 0.5, { device }));
    return {
      target: ({ targets }, task) => task.dense(task.label(targets, share), targets).mul(memory.add(1)),
      observe: ({ logits }) => memory.lerp_(logits.softmax(1).mean([0]), share),
      stateDict: () => new Map([['memory', memory]]),
    };
  },
});
`.trim();

describe('a method in a file outside the project', () => {
  beforeAll(() => write('mine.ts', remembering));

  test('has 15 lines, trains by name and options, and the run says which file made it', () => {
    expect(remembering.split('\n').length).toBeLessThanOrEqual(16);
    const { status, stdout, stderr } = train(
      '--objective',
      './mine.ts:share=0.2',
      '--model',
      'resnet10',
      '--out',
      'straight',
    );
    expect(status, stderr).toBe(0);
    expect(stdout).toBe('straight\n');
    expect(stderr).not.toMatch(/warning/i);
    const { config, code } = description('straight');
    expect(config.objective).toBe('remembering:share=0.2');
    expect(code).toEqual({
      objective: { file: './mine.ts', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    expect(readdirSync(at('straight'))).toContain('objective.safetensors');
  });

  test('killed in the middle of an epoch, it ends bit for bit as if it had not been', () => {
    const child = fileURLToPath(new URL('./child.ts', import.meta.url));
    const settings = {
      objective: './mine.ts:share=0.2',
      model: 'resnet10',
      epochs: 2,
      batchSize: 8,
      threads: 1,
    };
    const run = (folder: string, more: object) =>
      spawnSync(
        process.execPath,
        [
          child,
          JSON.stringify({
            folder: at(folder),
            phantom: { images: 100, size: 32, seed: 5 },
            settings: { ...settings, precision: 'float32', keepCheckpoints: true, checkpointSteps: 6 },
            ...more,
          }),
        ],
        { cwd: root, encoding: 'utf8' },
      );
    expect(run('once', {}).status).toBe(0);
    expect(run('killed', { killAfter: 6 }).signal).toBe('SIGKILL');
    const resumed = run('killed', {});
    expect(resumed.status, resumed.stderr).toBe(0);
    const last = readdirSync(at('once/checkpoints')).sort().at(-1)!;
    for (const file of ['model.safetensors', 'objective.safetensors', `checkpoints/${last}`])
      expect(readFileSync(at(`killed/${file}`)).equals(readFileSync(at(`once/${file}`))), file).toBe(true);
  });

  test('that has changed is refused, with what to do, and nothing is lost', () => {
    const before = readFileSync(at('straight/model.safetensors'));
    write('mine.ts', remembering.replace('add(1)', 'add(2)'));
    const { status, stderr } = train(
      '--objective',
      './mine.ts:share=0.2',
      '--model',
      'resnet10',
      '--out',
      'straight',
    );
    write('mine.ts', remembering);
    expect(status).toBe(1);
    expect(stderr).toMatch(/error \[training\/changed-code\]: straight was begun with another \.\/mine\.ts/);
    expect(stderr).toMatch(/hint: restore the objective's file/);
    expect(readFileSync(at('straight/model.safetensors')).equals(before)).toBe(true);
  });

  test.each([
    ['./missing.ts', /\.\/missing\.ts: there is no such file/],
    ['./mine.ts:share=2', /remembering: share must be in \[0, 1\], got 2/],
    ['./mine.ts:part=2', /remembering has no option 'part=2'/],
    ['./empty.ts', /\.\/empty\.ts: it has no objective as its default export/],
    ['./broken.ts', /\.\/broken\.ts: /],
    ['./neither.ts', /neither makes an objective without target and loss/],
    ['./hard.ts', /there already is an objective 'hard'/],
  ])('%s is an error in one line', (text, message) => {
    write('empty.ts', 'export const x = 1;\n');
    write('broken.ts', 'export default {\n');
    write('neither.ts', "export default { tasks: ['one-of-k'], make: () => ({}) };\n");
    write('hard.ts', "export default { tasks: ['one-of-k'], make: () => ({ loss: () => {} }) };\n");
    const { status, stderr } = train('--objective', text, '--out', 'wrong');
    expect(status, stderr).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

test('a network of one’s own trains, and is evaluated by those who name its file as it was', () => {
  write('net.ts', network);
  const { status, stderr } = train('--model', './net.ts', '--objective', 'hard', '--out', 'net');
  expect(status, stderr).toBe(0);
  expect(description('net').code?.model?.file).toBe('./net.ts');
  const look = (...words: string[]) =>
    penumbra(
      'evaluate',
      'net',
      'phantom',
      '--phantom-images',
      '100',
      '--phantom-size',
      '32',
      '--replicates',
      '20',
      ...words,
    );
  expect(look().stderr).toMatch(
    /the network of net was made by \.\/net\.ts\n.*hint: name that file with --model/s,
  );
  const judged = look('--model', './net.ts');
  expect(judged.status, judged.stderr).toBe(0);
  write('net.ts', network.replace('stride: 4', 'stride: 2'));
  expect(look('--model', './net.ts').stderr).toMatch(/\.\/net\.ts is not as it was/);
});

test('files of one’s own are compared, and are named by a study', () => {
  write('mine.ts', remembering);
  write('net.ts', network);
  const size = ['--phantom-images', '100', '--phantom-size', '32'];
  const quick = [
    '--epochs',
    '1',
    '--seeds',
    '1',
    '--replicates',
    '50',
    '--precision',
    'float32',
    '--threads',
    '1',
  ];
  const methods = ['--objectives', 'hard,./mine.ts:share=0.3', '--model', './net.ts', '--out', 'compared'];
  const compared = penumbra('compare', 'phantom', ...size, ...quick, ...methods);
  expect(compared.status, compared.stderr).toBe(0);
  expect(compared.stdout).toMatch(/remembering/);
  const study = {
    name: 'own',
    sets: { p: { path: 'phantom', phantom: { images: 100, size: 32 } } },
    networks: ['small'],
    methods: ['hard', 'remembering:share=0.3'],
    seeds: [0],
  };
  write('study.json', JSON.stringify(study));
  const planned = penumbra('study', 'study.json', '--code', './mine.ts', './net.ts', '--dry-run');
  expect(planned.status, planned.stderr).toBe(0);
  expect(planned.stdout).toMatch(/small/);
  expect(penumbra('study', 'study.json', '--code', './net.ts', '--dry-run').stderr).toMatch(/remembering/);
});

test('the method of the page trains, and help lists it like the others', () => {
  write('penalty.ts', method);
  const { status, stderr } = train(
    '--objective',
    './penalty.ts:beta=0.2',
    '--model',
    'resnet10',
    '--out',
    'penalty',
  );
  expect(status, stderr).toBe(0);
  const help = penumbra('train', '--help').stdout;
  for (const line of [
    /ls +Label smoothing\. A share ε/,
    /epsilon=0\.1 +the share ε.*\(in \[0, 1\]\)/,
    /css .*One label of K only\./,
    /resnet10, resnet10_half, resnet18/,
  ])
    expect(help).toMatch(line);
});

test('the program of the page runs', () => {
  mkdirSync(at('program'));
  write('program/program.ts', fromSources(program));
  write('program/package.json', '{ "type": "module" }');
  const { status, stdout, stderr } = spawnSync(process.execPath, ['program.ts'], {
    cwd: at('program'),
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/nll: [\d.]+,\s+top1: [\d.]+,\s+ece: [\d.]+/);
});
