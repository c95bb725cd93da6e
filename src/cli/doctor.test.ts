import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { PenumbraError } from '../errors.ts';
import type { EngineInfo } from '../torch/index.ts';
import { diagnose, formatDiagnosis, type Probes } from './doctor.ts';

const engine: EngineInfo = {
  version: '2.13.0',
  path: '/lib',
  cpuCapability: 'AVX2',
  blas: 'mkl',
  mkldnn: true,
  cuda: { available: false, devices: 0, capabilities: [], problem: '' },
  threads: 2,
  interopThreads: 2,
  bf16: { fast: false, reason: 'the processor has neither AMX nor AVX512-BF16' },
};

/** A machine on which everything is there. */
const healthy: Probes = {
  nodeVersion: '24.0.0',
  engine: async () => engine,
  imageDecoder: async () => 'sharp 1',
  libTorchSource: () => 'pip',
  folder: tmpdir(),
  memory: () => ({ total: 8 * 2 ** 30, available: 6 * 2 ** 30 }),
  pyTorch: () => undefined,
  testData: undefined,
};

test('a whole machine: the main job can run, and what is optional is named found or not', async () => {
  const diagnosis = await diagnose(healthy);
  expect(diagnosis).toMatchObject({ ok: true, libtorch: { version: '2.13.0', source: 'pip' } });
  expect(diagnosis.findings.filter((finding) => finding.required)).toEqual([]);
  expect(diagnosis.optional.map(({ name, found }) => [name, found])).toEqual([
    ['image decoder', true],
    ['CUDA', false],
    ['fast bfloat16', false],
    ['PyTorch in python3', false],
    ['real test data', false],
  ]);
  const text = formatDiagnosis(diagnosis);
  expect(text).toMatch(/LibTorch +2\.13\.0 \(installed by set-up\), \/lib\n/);
  expect(text).toMatch(/memory +6\.0 GiB available of 8\.0 GiB\n/);
  expect(text).toMatch(/The main job can run: npm start$/);
});

const hint = 'run set-up';
test.each<[string, Partial<Probes>, RegExp, string | RegExp]>([
  [
    'no engine',
    {
      engine: async () => {
        throw new PenumbraError('torch/addon', 'the engine is not built', { hint });
      },
    },
    /^the engine is not built$/,
    hint,
  ],
  [
    'an engine that fails in an unknown way',
    {
      engine: async () => {
        throw new TypeError('bad\nstack');
      },
    },
    /^bad$/,
    /npx penumbra setup/,
  ],
  [
    'no image decoder',
    {
      imageDecoder: async () => {
        throw new Error('no binary');
      },
    },
    /sharp.*no binary/,
    /npm ci/,
  ],
  ['an old Node', { nodeVersion: '20.1.0' }, /^Node 20\.1\.0 is too old/, /npx penumbra/],
  ['a folder that is not there', { folder: '/nowhere/at/all' }, /not writable/, /start penumbra in/],
])('%s is in the way, and the hint says what to do', async (_, probes, what, todo) => {
  const diagnosis = await diagnose({ ...healthy, ...probes });
  expect(diagnosis.ok).toBe(false);
  const required = diagnosis.findings.filter((finding) => finding.required);
  expect(required).toEqual([
    { required: true, what: expect.stringMatching(what), hint: expect.stringMatching(todo) },
  ]);
  const text = formatDiagnosis(diagnosis);
  expect(text).toContain(`PROBLEM: ${required[0]!.what}\n  hint: ${required[0]!.hint}`);
  expect(text).toMatch(/The main job cannot run yet\.$/);
});

test('little memory and a GPU that does not load are notes: the main job still runs', async () => {
  const diagnosis = await diagnose({
    ...healthy,
    engine: async () => ({
      ...engine,
      cuda: { available: false, devices: 0, capabilities: [], problem: 'no driver' },
    }),
    memory: () => ({ total: 2 ** 30, available: 2 ** 29 }),
  });
  expect(diagnosis.ok).toBe(true);
  expect(diagnosis.findings.map((finding) => finding.what)).toEqual(
    expect.arrayContaining([
      'LibTorch has CUDA, but it does not load: no driver',
      'only 0.5 GiB of memory are available',
    ]),
  );
  expect(formatDiagnosis(diagnosis)).toContain('note: only 0.5 GiB of memory are available');
});
