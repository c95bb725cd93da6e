import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, expect, test, vi } from 'vitest';
import type { Findings } from '../data/index.ts';
import { addDataOptions, type DataFlags, openData } from './options.ts';

const folder = mkdtempSync(join(tmpdir(), 'penumbra-data-options-'));
afterAll(() => rmSync(folder, { recursive: true }));
const names = ['a', 'b', 'c', 'd'].map((name) => `${name}.png`);
mkdirSync(join(folder, 'set'));
// Listing looks at names alone.
for (const name of names) writeFileSync(join(folder, 'set', name), '');
writeFileSync(
  join(folder, 'set', 't.csv'),
  'file,split,Edema y,Edema p,Edema r,Mass\na.png,train,1,0.8,0.4,0\nb.png,train,0,0.1,0.2,1\nc.png,train,-1,,,1\nd.png,test,1,1,0,\n',
);

function parse(...argv: string[]): DataFlags {
  const command = addDataOptions(new Command().exitOverride().configureOutput({ writeErr: () => {} }));
  return command.parse(argv, { from: 'user' }).opts();
}

function open(...argv: string[]) {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const data = openData(join(folder, 'set'), parse(...argv));
  const said = write.mock.calls.map(([text]) => String(text)).join('');
  write.mockRestore();
  return { data, train: data.splits.train!.targets as Findings, said };
}

test('findings, their policies and what is known of the data reach the reader', () => {
  const plain = open();
  expect(plain.data.classes).toEqual(['Edema', 'Mass']);
  expect([...plain.train.mask!]).toEqual([1, 1, 1, 1, 0, 1]);
  expect([...plain.train.rates!].map((rate) => Number(rate.toFixed(3)))).toEqual([0.4, 0, 0.2, 0, 0, 0]);
  expect(plain.said).toContain('warning: split test has no known value of Mass');
  expect(open('--classes', 'Mass, Edema').data.classes).toEqual(['Mass', 'Edema']);
  expect(open('--uncertain', 'ones').train.values[4]).toBe(1);
  expect(open('--uncertain', '0.25').train.values[4]).toBe(0.25);
  const rate = open('--uncertain', 'rate=-0.5').train;
  expect([rate.values[4], rate.rates![4]]).toEqual([1, -0.5]);
  writeFileSync(join(folder, 'errors.json'), '{"Mass":{"miss":0.1}}');
  expect(open('--errors', join(folder, 'errors.json')).train.errors).toEqual([
    { falsePositive: 0, miss: 0, hedged: 0 },
    { falsePositive: 0, miss: 0.1, hedged: 0 },
  ]);
  const p = open('--values', 'probabilities', '--blank', 'zeros').train;
  expect([...p.values].map((value) => Number(value.toFixed(3)))).toEqual([0.8, 0, 0.1, 1, 0, 1]);
  expect(p.mask).toBeUndefined();
});

test.each([
  ['--uncertain', 'maybe'],
  ['--uncertain', '1.5'],
  ['--uncertain', ''],
  ['--uncertain', 'rate=1'],
  ['--uncertain', 'rate='],
  ['--blank', 'ones'],
  ['--kind', 'both'],
])('%s %s is refused', (flag, value) => {
  expect(() => parse(flag, value)).toThrow(expect.objectContaining({ code: 'commander.invalidArgument' }));
});
