import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const src = fileURLToPath(new URL('../../src', import.meta.url));
/** What opens for writing, moves or removes. */
const forbidden =
  /^(write|append|create|rename|rm|unlink|mkdir|cp|copy|truncate|ftruncate|link|symlink|chmod|chown|utimes|open|promises)/;
/** Reads of files that a verb holds open, and of its own package, need no room. */
const harmless = new Set(['createReadStream']);

const sources = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
  (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.startsWith('files/'),
);

test.each(sources)('%s writes, moves and removes files through src/files only', (name) => {
  const text = readFileSync(join(src, name), 'utf8');
  const imports = [
    ...text.matchAll(/(?:import|export)\s+(?:type\s+)?([^;]*?)\s+from\s+'(?:node:)?fs(?:\/promises)?'/g),
  ];
  const names = imports.flatMap(([, list]) => (list!.match(/\w+/g) ?? []).filter((word) => word !== 'type'));
  expect(names.filter((word) => forbidden.test(word) && !harmless.has(word))).toEqual([]);
  expect(text).not.toMatch(/import\('(?:node:)?fs(?:\/promises)?'\)\)?\.(?!createReadStream)/);
  expect(text).not.toMatch(/from '(?:node:)?fs\/promises'|require\('(?:node:)?fs'\)|\* as fs\b/);
  // Libraries that write by name are given the name of a temporary file.
  for (const call of ['parquetWriteFile(', '.toFile(']) {
    for (let at = text.indexOf(call); at >= 0; at = text.indexOf(call, at + 1)) {
      expect(text.slice(Math.max(0, at - 300), at)).toMatch(/writeNamed/);
    }
  }
});

test('the rule sees what it should', () => {
  expect(sources.length).toBeGreaterThan(150);
  for (const name of ['writeFileSync', 'createWriteStream', 'openSync', 'rmSync', 'mkdirSync', 'promises'])
    expect(forbidden.test(name)).toBe(true);
  for (const name of ['readFileSync', 'existsSync', 'statSync', 'readdirSync'])
    expect(forbidden.test(name)).toBe(false);
});
