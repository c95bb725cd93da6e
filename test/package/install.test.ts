import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';

/**
 * `npm pack`, and what it made in a fresh TypeScript project outside the clone. Its packages are the clone's own: no
 * network, and the same versions as the lock file's.
 */
const root = fileURLToPath(new URL('../../', import.meta.url));
const project = mkdtempSync(join(tmpdir(), 'penumbra-package-'));
const installed = join(project, 'node_modules/penumbra');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
  exports: Record<string, string | object>;
};

const main = `import { PenumbraError, Random, type TrainOptions } from 'penumbra';
import { fitCalibrator } from 'penumbra/calibration';
import { type Dataset, openDataset } from 'penumbra/data';
import { ece, predictions } from 'penumbra/metrics';
import { createModel } from 'penumbra/models';
import { defineObjective, objectiveNames, registerObjective, z } from 'penumbra/objectives';
import { drawPhantoms } from 'penumbra/phantom';
import { assessReport } from 'penumbra/reports';
import { aten, Generator, nn, type Tensor, tidy } from 'penumbra/torch';
import { resolveConfig } from 'penumbra/training';

// A method of one's own has the types that it needs.
const twice = defineObjective({
  name: 'twice',
  summary: 'Cross-entropy, twice.',
  tasks: ['one-of-k'],
  options: z.strictObject({ factor: z.number().default(2).describe('what it is multiplied with') }),
  make: ({ factor }) => ({
    loss: ({ logits, targets }, task): Tensor =>
      task.crossEntropy(logits, task.label(targets), targets).mul(factor),
  }),
});
registerObjective(twice);
const options: TrainOptions = { epochs: 1 };
const data: Dataset = openDataset('phantom', { phantom: { images: 64, size: 32 } });
const generator = new Generator(1);
const x: Tensor = tidy(() => new nn.Linear(4, 3, { generator }).forward(aten.ones([2, 4])));
const model = createModel('resnet10', { classes: 3, channels: 1, size: 32, stem: 'small', generator });
// @ts-expect-error: an operator's arguments have types.
const wrong = () => aten.matmul(x, 'x');
console.log(
  JSON.stringify({
    ece: ece(predictions(Float32Array.of(0.8, 0.2, 0.4, 0.6), [0, 0])),
    temperature: fitCalibrator('temperature', Float32Array.of(4, 0, 0, 4, 4, 0, 0, 4), [0, 1, 1, 1], 2).classes,
    finding: assessReport({ id: '1', text: 'IMPRESSION: Probable pneumonia. No effusion.' }).length > 0,
    phantoms: drawPhantoms({ images: 2, size: 32 }).labels.length,
    classes: data.classes.length,
    shape: x.shape,
    objective: objectiveNames().includes('twice'),
    parameters: model.parameters().length > 0,
    epochs: resolveConfig(options).epochs,
    random: new Random(1).uniform() < 1,
    wrong: typeof wrong,
    error: new PenumbraError('a/b', 'c').code,
  }),
);
`;

/** The engine's part of it alone. */
const engineOnly = `import { tensor } from 'penumbra/torch';
console.log(tensor([1]).item());
`;

const tsconfig = {
  compilerOptions: {
    target: 'es2022',
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    types: ['node'],
    outDir: 'out',
  },
  include: ['*.ts'],
};

function node(script: string, env: Record<string, string> = {}, program = process.execPath) {
  const { PENUMBRA_ADDON: _, ...own } = process.env;
  return spawnSync(program, [join(project, script)], {
    cwd: project,
    encoding: 'utf8',
    // The engine of a package lies in the user's cache: here there is none.
    env: { ...own, XDG_CACHE_HOME: join(project, 'cache'), ...env },
  });
}

const engine = { PENUMBRA_ADDON: join(root, 'build/penumbra.node') };
const { npm_node_execpath: theirs } = process.env;
/** The Node that npm runs on, where it is the oldest that the package names. */
const node20 =
  theirs !== undefined && /^v20\./.test(spawnSync(theirs, ['-v'], { encoding: 'utf8' }).stdout)
    ? theirs
    : undefined;

/** Trains on two worker threads, the way a program of somebody's would. */
const training = `import { fit, resolveConfig } from 'penumbra';
import { openDataset } from 'penumbra/data';
const result = await fit({
  config: resolveConfig({ model: 'resnet10', epochs: 1, workers: 1, threads: 1, precision: 'float32' }),
  dataset: openDataset('phantom', { phantom: { images: 90, size: 32 } }),
  dataPath: 'phantom',
  folder: 'run',
});
console.log(process.version, result.finished);
`;

beforeAll(() => {
  const [{ filename }] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  ) as [{ filename: string }];
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(project, filename), '-C', installed, '--strip-components=1']);
  const names = [...Object.keys(manifest.dependencies), '@types/node'];
  for (const name of names) {
    const place = join(project, 'node_modules', name);
    mkdirSync(dirname(place), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), place);
  }
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'fresh', private: true, type: 'module' }),
  );
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(tsconfig));
  writeFileSync(join(project, 'main.ts'), main);
  writeFileSync(join(project, 'engine.ts'), engineOnly);
  return () => rmSync(project, { recursive: true, force: true });
}, 180_000);

describe('the packed package', { timeout: 180_000 }, () => {
  test('holds what it needs, and neither tests nor lock files nor anything of this machine', () => {
    for (const file of [
      'dist/index.js',
      'dist/index.d.ts',
      'native/CMakeLists.txt',
      'bin/penumbra.mjs',
      'LICENSE',
    ])
      expect(existsSync(join(installed, file)), file).toBe(true);
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' });
    expect(
      files.filter((file) => /\.test\.|package-lock|\.node$|^(test|build|\.cache)\//.test(file)),
    ).toEqual([]);
  });

  test('its types hold in a strict project that checks libraries too', () => {
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', '.'], {
      cwd: project,
      encoding: 'utf8',
    });
    expect(stdout).toBe('');
    expect(status).toBe(0);
  });

  test('without the engine its use is an error that says what to run', () => {
    const { status, stderr } = node('out/engine.js');
    expect(status).toBe(1);
    expect(stderr).toContain('the engine is not built');
    expect(stderr).toContain('npx penumbra setup');
  });

  test('with the engine every door opens, and what is behind it works', () => {
    const { stdout, stderr } = node('out/main.js', engine);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      ece: expect.closeTo(0.4, 6),
      temperature: 2,
      finding: true,
      phantoms: 2,
      classes: 5,
      shape: [2, 3],
      objective: true,
      parameters: true,
      epochs: 1,
      random: true,
      wrong: 'function',
      error: 'a/b',
    });
  });

  test.skipIf(node20 === undefined)('trains on Node 20, which the package names as its oldest', () => {
    writeFileSync(join(project, 'training.mjs'), training);
    const { stdout, stderr } = node('training.mjs', engine, node20);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^v20\.\S+ true\n$/);
  });

  test('the help is there before any set-up', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(installed, 'bin/penumbra.mjs'), 'train', '--help'],
      { cwd: project, encoding: 'utf8' },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('penumbra train');
  });

  test('every door can be imported', () => {
    const doors = Object.keys(manifest.exports).filter((door) => !door.endsWith('.json'));
    writeFileSync(
      join(project, 'doors.mjs'),
      doors.map((door) => `await import('penumbra${door.slice(1)}');`).join('\n'),
    );
    const { status, stderr } = node('doors.mjs', engine);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});
