import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { PenumbraError } from '../../src/errors.ts';
import { parseJsonc } from '../../src/jsonc.ts';
import { readStudyFile, resolveStudy, runConfig, slugOf } from '../../src/study/study-file.ts';
import { studyJsonSchema, studySchema } from '../../src/study/study-schema.ts';

const least = {
  name: 'trial',
  sets: { knee: { path: 'data/knee' }, virtual: { path: 'phantom' } },
  networks: ['resnet10', 'resnet18'],
  methods: ['hard', 'ls:epsilon=0.2', { objective: 'ols', mixup: 0.2 }],
  seeds: 2,
};
const file = '/studies/trial.json';

function failure(changes: object): PenumbraError {
  try {
    resolveStudy({ ...least, ...changes }, file);
  } catch (error) {
    expect(error).toBeInstanceOf(PenumbraError);
    return error as PenumbraError;
  }
  throw new Error('it was accepted');
}

test('the schema that is checked in is the one of the code', async () => {
  // Where this fails, after a new setting or objective: npm test -- test/study/study-file -u
  const path = new URL('../../studies/study.schema.json', import.meta.url).pathname;
  await expect(`${JSON.stringify(studyJsonSchema(), null, 2)}\n`).toMatchFileSnapshot(path);
});

test('fills in what is not said', () => {
  const study = resolveStudy(least, file);
  expect(study).toMatchObject({ title: 'trial', baseline: 'hard', seeds: [0, 1], out: undefined });
  expect(study.config).toMatchObject({ bins: 15, replicates: 1000, certificates: false });
  expect(study.methods.map((method) => [method.id, slugOf(method), method.label, method.mixup])).toEqual([
    ['hard', 'hard', 'Hard labels', 0],
    ['ls:epsilon=0.2', 'ls_epsilon_0.2', 'Label smoothing (epsilon 0.2)', 0],
    ['ols+mixup-0.2', 'ols_mixup-0.2', 'Online label smoothing, mixup 0.2', 0.2],
  ]);
});

test('paths are relative to the study file, those of the command line to the working folder', () => {
  const study = resolveStudy({ ...least, settings: { weights: 'w.safetensors' }, out: '../done' }, file, {
    virtual: 'here',
  });
  expect(study.sets.get('knee')!.path).toBe('/studies/data/knee');
  expect(study.sets.get('virtual')!.path).toBe(resolve('here'));
  expect(resolveStudy(least, file).sets.get('virtual')!.path).toBe('phantom');
  expect(study.config.settings.weights).toBe('/studies/w.safetensors');
  expect(study.out).toBe('/done');
});

test('settings of the method win over those of the network, the set and the study', () => {
  const study = resolveStudy(
    {
      ...least,
      methods: ['hard', { objective: 'ols', name: 'long', settings: { epochs: 40 } }],
      settings: { epochs: 10, batchSize: 8, size: 32, warmUp: 2 },
      setSettings: { knee: { epochs: 20, batchSize: 16, size: 64 } },
      networkSettings: { resnet10: { epochs: 30, batchSize: 32 } },
    },
    file,
  );
  const config = (set: string, network: string, method: number) => {
    const { epochs, batchSize, size, warmUp } = runConfig(study, {
      set,
      network,
      method: study.methods[method]!,
      seed: 0,
    });
    return [epochs, batchSize, size, warmUp];
  };
  expect(config('virtual', 'resnet18', 0)).toEqual([10, 8, 32, 2]);
  expect(config('knee', 'resnet18', 0)).toEqual([20, 16, 64, 2]);
  expect(config('knee', 'resnet10', 0)).toEqual([30, 32, 64, 2]);
  expect(config('knee', 'resnet10', 1)).toEqual([40, 32, 64, 2]);
});

test.each([
  [{ replicate: 10 }, "there is no key 'replicate'", "did you mean 'replicates'?"],
  [{ sets: { knee: { path: 'k', clasMap: {} } } }, "sets.knee: there is no key 'clasMap'", "'classMap'"],
  [{ sets: { knee: { path: 'k', splits: { tset: 'val' } } } }, "there is no key 'tset'", "'test'"],
  [{ methods: [{ objctive: 'ols' }] }, "methods.0: there is no key 'objctive'", "'objective'"],
  [{ sets: { knee: { pth: 'k' } } }, "sets.knee: there is no key 'pth'", "'path'"],
  [{ methods: undefined, metods: ['hard'] }, "there is no key 'metods'", "'methods'"],
  [{ methods: [{ objective: 'ols', settings: { epoch: 1 } }] }, "there is no key 'epoch'", "'epochs'"],
  [{ settings: { learningrate: 1 } }, "there is no key 'learningrate'", "'learningRate'"],
  [{ settings: { seed: 1 } }, "there is no key 'seed'", undefined],
  [{ methods: ['hard', 'olz'] }, "methods.1: there is no method 'olz'", "did you mean 'ols'?"],
  [{ networks: ['resnet81'] }, "there is no network 'resnet81'", 'resnet18'],
  [{ setSettings: { kne: {} } }, "there is no data set of this study 'kne'", "'knee'"],
  [{ networkSettings: { resnet50: {} } }, "there is no network of this study 'resnet50'", "'resnet10'"],
  [{ baseline: 'hrd' }, "there is no method of this study 'hrd'", "'hard'"],
  [{ judge: 'tset' }, "judge: there is no 'tset'", "'test'"],
  [{ embeddings: { pictures: ['tnse'] } }, "there is no 'tnse'", "'tsne'"],
  [{ embeddings: { samples: 10 } }, "there is no key 'samples'", "'sample'"],
  [{ conformal: true }, 'conformal: expected false or object', '"conformal": { "methods": ["lac", "aps"]'],
  [{ centres: ['b'] }, 'centres.0 must be an object, and is "b"', '{ "name": "hospital B", "set": { "path"'],
  [
    { centres: [{ name: 'b', set: 'data/b' }] },
    'centres.0.set must be an object',
    '"set": { "path": "data/knee"',
  ],
  [{ centres: [{ set: { path: 'b' } }] }, 'centres.0.name: it is missing', '{ "name": "hospital B"'],
  [{ sets: ['knee'] }, 'sets must be an object', '"sets": { "knee": { "path": "data/knee" } }'],
  [{ sets: { knee: 'data/knee' } }, 'sets.knee must be an object', '"knee": { "path": "data/knee"'],
  [{ networks: 'resnet18' }, 'networks must be a list, and is "resnet18"', '"networks": ["resnet18"]'],
  [{ settings: { epochs: '5' } }, 'settings.epochs must be a number, and is "5"', '"settings": {'],
  [{ settings: { epochs: 0 } }, 'settings.epochs must be at least 1, and is 0', undefined],
  [{ bins: 0 }, 'bins must be at least 1, and is 0', undefined],
  [
    { methods: [{ objective: 'ols', options: { varient: 'paper' } }] },
    "ols has no option 'varient'",
    "'variant'",
  ],
  [{ methods: [{ objective: 'ls', options: { epsilon: 2 } }] }, 'epsilon must be in [0, 1', undefined],
  [
    { methods: [{ objective: 'ols:alpha=0.3', options: { alpha: 0.2 } }] },
    'methods.0: options stand both',
    '{ "objective": "ols", "options": { "alpha": 0.2 } }',
  ],
  [{ centres: [{ name: 'b', set: { path: 'b' }, for: ['kne'] }] }, "data set 'kne'", "'knee'"],
  [{ calibration: ['temprature'] }, "calibration.0: there is no 'temprature'", "'temperature'"],
  [{ conformal: { methods: ['lca'] } }, "conformal.methods.0: there is no 'lca'", "'lac'"],
  [{ seeds: [1, 1] }, "seed '1' is there twice", undefined],
  [{ seeds: 0 }, 'seeds', undefined],
  [{ methods: ['ols', 'ols:'] }, '', undefined],
  [{ methods: ['ols', { objective: 'ols' }] }, "method 'ols' is there twice", undefined],
  [{ methods: ['ols:alpha=3'] }, 'alpha must be in [0, 1], got 3', undefined],
  [{ sets: {} }, 'expected at least one data set', undefined],
  [{ sets: { 'a/b': { path: 'x' } } }, 'a set names a folder', undefined],
  [{ name: undefined }, 'name: it is missing', undefined],
])('%j is an error that names the place', (changes, message, hint) => {
  const error = failure(changes);
  expect(error.message).toContain(message);
  if (hint !== undefined) expect(error.hint).toContain(hint);
});

test('options of an objective may stand after a colon or by name', () => {
  const { methods } = resolveStudy(
    { ...least, methods: ['hard', { objective: 'ols', options: { variant: 'zero-start', alpha: 0.3 } }] },
    file,
  );
  expect(methods[1]).toMatchObject({ id: 'ols:variant=zero-start,alpha=0.3' });
});

test('settings of parts from the command line join those of the file', () => {
  const path = join(import.meta.dirname, '../../studies/example.jsonc');
  const config: Readonly<Record<string, unknown>> = readStudyFile(
    path,
    {},
    {
      operating: { prevalence: 0.02 },
      decision: { prevalence: 0.02 },
      images: false,
      certificates: { images: 5 },
    },
  ).config;
  expect(config.operating).toEqual({ rules: ['youden', 'sensitivity=0.9'], prevalence: 0.02 });
  expect(config.decision).toEqual({ prevalence: 0.02 });
  expect([config.images, config.certificates]).toEqual([false, false]);
});

test('the annotated example has every key of the schema, and is read', () => {
  const path = join(import.meta.dirname, '../../studies/example.jsonc');
  const study = readStudyFile(path);
  expect(study.methods.length).toBeGreaterThan(2);
  const keys = Object.keys(studySchema.shape);
  expect(Object.keys(parseJsonc(readFileSync(path, 'utf8')) as object).sort()).toEqual(keys.sort());
});

test('every example that errors and editors show is read', () => {
  let seen = 0;
  const visit = (schema: z.ZodType) => {
    for (const example of (z.globalRegistry.get(schema)?.examples as unknown[] | undefined) ?? []) {
      seen++;
      expect(schema.safeParse(example), JSON.stringify(example)).toMatchObject({ success: true });
    }
    const def = schema.def as unknown as Record<string, unknown>;
    const inner = [
      ...Object.values((def.shape ?? {}) as Record<string, z.ZodType>),
      ...((def.options ?? []) as z.ZodType[]),
      ...[def.element, def.valueType, def.innerType].filter((one) => one !== undefined),
    ];
    for (const one of inner) visit(one as z.ZodType);
  };
  visit(studySchema);
  expect(seen).toBeGreaterThan(20);
});

test('files that are no study files', () => {
  expect(() => readStudyFile(join(import.meta.dirname, 'absent.json'))).toThrow('cannot be read');
  expect(() => readStudyFile(import.meta.filename)).toThrow('is no JSON');
  expect(() => resolveStudy([], file)).toThrow('it must be an object, and is []');
  expect(() => resolveStudy(least, file, { kne: 'x' })).toThrow("--data kne: there is no data set 'kne'");
});
