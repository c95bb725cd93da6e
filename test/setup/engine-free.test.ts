import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Every file of ours that a file loads, at once or late. Types cost nothing and do not count. */
function reached(file: string, seen = new Map<string, string | undefined>(), from?: string): typeof seen {
  if (seen.has(file)) return seen;
  seen.set(file, from);
  const text = readFileSync(file, 'utf8');
  const values =
    /(?:^|\n)\s*(?:import|export)\s+(?!type\b)(?:[^;'"]*?\sfrom\s+)?['"](\.[^'"]+)['"]|\bimport\(\s*['"](\.[^'"]+)['"]/g;
  for (const [, plain, late] of text.matchAll(values)) {
    const next = resolve(dirname(file), (plain ?? late)!);
    if (!byNetwork(file, next)) reached(next, seen, file);
  }
  return seen;
}

/** What is loaded late and only for a network of the user's: features, and the extractor that is one. */
function byNetwork(file: string, next: string): boolean {
  if (file.endsWith('judgement/parts/embeddings.ts')) return next.includes('/src/embeddings/');
  return file.endsWith('src/rates/register.ts') && next.endsWith('src/rates/extractor.ts');
}

const launcher = readFileSync(join(root, 'bin/penumbra.mjs'), 'utf8');
const verbs = /\[('judge'[^\]]*)\]/
  .exec(launcher)![1]!
  .split(',')
  .map((verb) => verb.trim().slice(1, -1));

describe.each(verbs)('%s', (verb) => {
  test('reaches no file of the engine', () => {
    const files = reached(join(root, 'src/cli', `${verb}.ts`));
    const engine = [...files.keys()].find((file) => file.startsWith(join(root, 'src/torch/')));
    const way: string[] = [];
    for (let at = engine; at !== undefined; at = files.get(at)) way.unshift(at.slice(root.length));
    expect(way).toEqual([]);
    expect(files.size).toBeGreaterThan(3);
  });
});

test('a verb that trains does reach it, so that the walk can fail', () => {
  const files = [...reached(join(root, 'src/cli/train.ts')).keys()];
  expect(files.some((file) => file.startsWith(join(root, 'src/torch/')))).toBe(true);
});
