import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { exports: doors } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8')) as {
  exports: Record<string, string | { types: string; default: string }>;
};

/** What a door lets out: for each name, the file and the name under which it is declared there. */
function exportsOf(file: string): Map<string, string> {
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  const found = new Map<string, string>();
  for (const [, list, from] of text.matchAll(/export\s+(?:type\s+)?\{([^}]*)\}\s+from\s+'([^']+)'/g)) {
    for (const item of list!.split(',')) {
      const [inner, outer] = item
        .trim()
        .replace(/^type\s+/, '')
        .split(/\s+as\s+/);
      if (!inner) continue;
      // Of another package, or of a file of ours that may pass it on itself.
      const source = from!.startsWith('.') ? resolve(dirname(file), from!) : undefined;
      found.set(outer ?? inner, (source && exportsOf(source).get(inner)) ?? `${source ?? from} ${inner}`);
    }
  }
  for (const [, name, from] of text.matchAll(/export \* as (\w+) from '([^']+)'/g))
    found.set(name!, `${resolve(dirname(file), from!)} *`);
  for (const [, name] of text.matchAll(
    /^export (?:abstract |async )?(?:const|function\*?|class|interface|type) (\w+)/gm,
  ))
    found.set(name!, `${file} ${name}`);
  return found;
}

const sources = Object.entries(doors).flatMap(([door, target]) =>
  typeof target === 'string'
    ? []
    : [
        {
          door,
          target,
          file: resolve(root, target.types.replace('./dist/', 'src/').replace('.d.ts', '.ts')),
        },
      ],
);

test('the package has a door for every part that stands alone', () => {
  expect(sources.map(({ door }) => door)).toEqual(
    expect.arrayContaining(['.', './torch', './models', './objectives', './training', './data', './phantom']),
  );
  for (const { target, file } of sources) {
    expect(target.default).toBe(target.types.replace('.d.ts', '.js'));
    expect(exportsOf(file).size, file).toBeGreaterThan(2);
  }
});

test('a name means the same thing behind every door', () => {
  const meanings = new Map<string, Map<string, string[]>>();
  for (const { door, file } of sources)
    for (const [name, origin] of exportsOf(file)) {
      const own = meanings.get(name) ?? new Map<string, string[]>();
      meanings.set(name, own.set(origin, [...(own.get(origin) ?? []), door]));
    }
  const twice = [...meanings]
    .filter(([, origins]) => origins.size > 1)
    .map(([name, origins]) => `${name}: ${[...origins.values()].flat().join(', ')}`);
  expect(twice).toEqual([]);
});
