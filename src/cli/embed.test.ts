import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { measureEmbeddings, readFeatures, summarizeEmbeddings } from '../embeddings/index.ts';
import { readSafetensors, Scope } from '../torch/index.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'penumbra-embed-'));
const data = ['phantom', '--phantom-images', '120', '--phantom-size', '32', '--test', '0.3'];

// Each call starts a process that loads the engine; a machine with other work takes its time.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });
afterAll(() => rmSync(root, { recursive: true }));

function penumbra(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [main, ...args], { cwd: root }, (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

beforeAll(async () => {
  const settings = ['--stem', 'standard', '--epochs', '1', '--threads', '1', '--precision', 'float32'];
  const { code, stderr } = await penumbra('train', ...data, ...settings, '--out', 'run');
  expect(code, stderr).toBe(0);
});

test('features, measures and a picture of a split', async () => {
  const files = ['--out', 'f.safetensors', '--json', 'm.json', '--picture', 'p.svg', '--method', 'both'];
  const { code, stdout, stderr } = await penumbra('embed', 'run', ...data, ...files, '--neighbours', '5');
  expect(code, stderr).toBe(0);
  const table = readFeatures(join(root, 'f.safetensors'));
  const n = table.labels.length;
  expect(table.features.length).toBe(512 * n);
  expect(stdout).toContain(`${n} samples, ${table.classes.length} classes, 512 features`);

  // They are what the network's last layer turns into its logits.
  const written = JSON.parse(readFileSync(join(root, 'm.json'), 'utf8'));
  const measures = measureEmbeddings(table.features, table.labels, table.classes.length, { k: 5 });
  const { distanceRatio, silhouette, perClass } = summarizeEmbeddings(measures);
  expect(written).toMatchObject({ split: 'test', samples: n, dimensions: 512, classNames: table.classes });
  expect(written.distanceRatio.value).toBeCloseTo(distanceRatio.value!, 9);
  expect(written.silhouette.value).toBeCloseTo(silhouette.value!, 9);
  expect(written.perClass.length).toBe(perClass.length);
  expect(stdout).toContain(`Within/between distance          ${distanceRatio.value!.toFixed(3)}`);

  const svg = readFileSync(join(root, 'p.svg'), 'utf8');
  for (const text of ['t-SNE', 'UMAP', ...table.classes]) expect(svg).toContain(text);
  expect(svg).not.toMatch(/https?:(?!\/\/www\.w3\.org\/2000\/svg)/);
});

test('the features are the input of the last layer', async () => {
  const { code, stderr } = await penumbra(
    'embed',
    'run',
    ...data,
    '--out',
    'g.safetensors',
    '--replicates',
    '0',
  );
  expect(code, stderr).toBe(0);
  expect(
    (await penumbra('evaluate', 'run', ...data, '--predictions', 'p.csv', '--replicates', '0')).code,
  ).toBe(0);
  const { features, labels, classes } = readFeatures(join(root, 'g.safetensors'));
  using _scope = new Scope();
  const { tensors } = readSafetensors(join(root, 'run', 'model.safetensors'));
  const weight = tensors.get('fc.weight')!.toTypedArray() as Float32Array;
  const bias = tensors.get('fc.bias')!.toTypedArray() as Float32Array;
  const lines = readFileSync(join(root, 'p.csv'), 'utf8').trim().split('\n').slice(1);
  expect(lines.length).toBe(labels.length);
  lines.forEach((line, i) => {
    const found = line
      .split(',')
      .slice(3, 3 + classes.length)
      .map(Number);
    const exponents = classes.map((_, k) => {
      let sum = bias[k]!;
      for (let j = 0; j < 512; j++) sum += features[i * 512 + j]! * weight[k * 512 + j]!;
      return Math.exp(sum);
    });
    const total = exponents.reduce((a, b) => a + b);
    found.forEach((p, k) => {
      expect(p).toBeCloseTo(exponents[k]! / total, 4);
    });
  });
});

test('a gallery of the training split votes; the same command gives the same picture', async () => {
  const command = ['embed', 'run', ...data, '--gallery', 'train', '--metric', 'cosine', '--sample', '20'];
  const first = await penumbra(...command, '--picture', 'a.svg');
  expect(first.code, first.stderr).toBe(0);
  expect(first.stdout).toMatch(/20 nearest of \d+ samples of the gallery, cosine/);
  await penumbra(...command, '--picture', 'b.svg');
  expect(readFileSync(join(root, 'a.svg'))).toEqual(readFileSync(join(root, 'b.svg')));
  expect(readFileSync(join(root, 'a.svg'), 'utf8')).toContain('20 images by class');
});

test.each([
  ['a file of another kind', ['--out', 'f.csv'], 'usage/features', 2],
  ['a picture of another kind', ['--picture', 'p.png'], 'usage/picture', 2],
  ['more neighbours than images', ['--neighbours', '500'], 'embeddings/neighbours', 1],
])('%s is an error that says so', async (_, args, code, status) => {
  const found = await penumbra('embed', 'run', ...data, ...args);
  expect(found.code).toBe(status);
  expect(found.stderr).toContain(`error [${code}]`);
  expect(found.stdout).toBe('');
  expect(existsSync(join(root, args[1]!))).toBe(false);
  // Said before a single image was read through the network.
  expect(found.stderr).not.toMatch(/images\/s|features:/);
});
