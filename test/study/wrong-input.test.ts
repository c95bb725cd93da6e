import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writePhantom } from '../../src/data/index.ts';
import { PenumbraError } from '../../src/errors.ts';
import { createModel } from '../../src/models/index.ts';
import { openStudy } from '../../src/study/study.ts';
import { resolveStudy } from '../../src/study/study-file.ts';
import { Generator, tidy, writeSafetensors } from '../../src/torch/index.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-wrong-'));
afterAll(() => rmSync(root, { recursive: true }));

/** A study that would start, but for what a test changes. */
const base = {
  name: 'wrong',
  sets: { virtual: { path: 'phantom', phantom: { images: 60, size: 32 } } },
  networks: ['resnet10'],
  methods: ['hard', 'tfkd-self'],
  seeds: 1,
  settings: { epochs: 1, batchSize: 8, size: 16, threads: 1 },
};
const grades = ['grade-0', 'grade-1', 'grade-2', 'grade-3', 'grade-4'];
/** The classes of phantoms, whatever they are called. */
let classes: readonly string[] = grades;

beforeAll(async () => {
  const written = await writePhantom(join(root, 'png'), { images: 60, size: 32, format: 'png' });
  classes = written.classes;
  const csv = (name: string, rows: readonly string[]) =>
    writeFileSync(join(root, name), ['file,label,split,site', ...rows, ''].join('\n'));
  csv('missing.csv', ['a.png,x,train,A', 'b.png,y,train,A', 'c.png,x,test,A', 'd.png,y,test,A']);
  tidy(() => {
    const other = createModel('resnet18', { classes: 5, channels: 1, generator: new Generator(0) });
    writeSafetensors(join(root, 'resnet18.safetensors'), new Map(other.stateDict()));
    other.dispose();
  });
  mkdirSync(join(root, 'empty'));
});

async function failure(changes: object): Promise<PenumbraError> {
  try {
    await openStudy(resolveStudy({ ...base, ...changes }, join(root, 'wrong.json')), join(root, 'out'));
  } catch (error) {
    if (error instanceof PenumbraError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const mapped = (map: Readonly<Record<string, string | null>>) => ({
  sets: { virtual: { ...base.sets.virtual, classMap: map } },
});

test('the study would start', async () => {
  const { chosen } = await openStudy(resolveStudy(base, join(root, 'wrong.json')), join(root, 'out'));
  expect(chosen.map(({ method, teacher }) => [method, teacher?.method])).toEqual([
    ['hard', undefined],
    ['tfkd-self', 'hard'],
  ]);
});

test('a table that names missing files', async () => {
  const error = await failure({ sets: { virtual: { path: 'missing.csv' } } });
  expect(error.message).toContain('set virtual: ');
  // By its line: names in tables can be patients'.
  expect(error.message).toContain('missing.csv, line 2');
});

test('data that are not there, or no data', async () => {
  expect((await failure({ sets: { virtual: { path: 'nowhere' } } })).message).toContain('there is no');
  expect((await failure({ sets: { virtual: { path: 'empty' } } })).code).toBe('data/format');
});

test('a class map with a hole', async () => {
  const whole = Object.fromEntries(classes.map((name) => [name, name]));
  const { [classes[2]!]: _, ...holed } = whole;
  const error = await failure(mapped(holed));
  expect(error).toMatchObject({ code: 'data/class-map' });
  expect(error.message).toContain(classes[2]!);
});

test('a class map with a misspelt class names the nearest', async () => {
  const map = Object.fromEntries(classes.map((name) => [name, name]));
  const error = await failure(mapped({ ...map, [`${classes[1]}x`]: 'a' }));
  expect(error.hint).toContain(`'${classes[1]}'`);
});

test('a centre with another class', async () => {
  const map = Object.fromEntries(classes.map((name) => [name, name]));
  const centre = {
    name: 'elsewhere',
    set: { path: 'png', classMap: { ...map, [classes[4]!]: `${classes[4]}?` } },
  };
  const error = await failure({ centres: [centre] });
  expect(error.message).toContain('set virtual: centre elsewhere: ');
  expect(error.hint).toContain(`'${classes[4]}'`);
});

test('sites of data that have none', async () => {
  const error = await failure({ sets: { virtual: { ...base.sets.virtual, sites: { test: ['B'] } } } });
  expect(error).toMatchObject({ code: 'data/site' });
});

test('weights of another network', async () => {
  const error = await failure({ networkSettings: { resnet10: { weights: 'resnet18.safetensors' } } });
  expect(error.message).toContain('set virtual, network resnet10: ');
  expect(error.hint).toContain('resnet18');
});

test('weights that are not there', async () => {
  const error = await failure({ settings: { ...base.settings, weights: 'nowhere.safetensors' } });
  expect(error.message).toContain('nowhere.safetensors');
});

test('a split to judge that the data do not have', async () => {
  const sets = { virtual: { ...base.sets.virtual, fractions: { val: 0.2, test: 0 } } };
  const error = await failure({ sets, judge: 'test' });
  expect(error).toMatchObject({ code: 'study/split' });
});

test('a setting out of range', async () => {
  const error = await failure({ settings: { ...base.settings, epochs: 0 } });
  expect(error.message).toContain('epochs must be at least 1, and is 0');
});

test('images too small for a network', async () => {
  const error = await failure({ networks: ['vgg19'] });
  expect(error.message).toContain('set virtual, network vgg19: ');
});
