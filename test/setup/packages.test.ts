import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
  'dependencies' | 'devDependencies' | 'optionalDependencies' | 'peerDependencies',
  Record<string, string>
>;

/** `a`, `@a/b` and sub-paths of them, but for the project's own name, from import and export statements, `import(…)` and `require(…)`. */
function packagesOf(text: string): string[] {
  const names = text.matchAll(
    /(?:^\s*(?:import|export)\s[^'"]*?from\s*|^\s*import\s*|\b(?:import|require)\(\s*)['"]([^'"\n]+)['"]/gm,
  );
  return Array.from(names, ([, name]) => name!)
    .filter((name) => /^(@[\w.-]+\/)?[a-z][\w.-]*(\/[\w./-]+)?$/.test(name) && !/^penumbra\b/.test(name))
    .filter((name) => !builtinModules.includes(name))
    .map((name) => name.match(/^(@[^/]+\/)?[^/]+/)![0]);
}

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => /\.(m?ts|mjs)$/.test(name) && !name.includes(`${sep}generated${sep}`))
    .filter((name) => join(root, name) !== fileURLToPath(import.meta.url));
}

test.each(['src', 'bin', 'scripts', 'test', 'bench'])(
  'every package that %s imports is declared',
  (folder) => {
    const users = {
      ...manifest.dependencies,
      ...manifest.peerDependencies,
      ...manifest.optionalDependencies,
    };
    const developers = { ...users, ...manifest.devDependencies };
    const files = filesUnder(folder);
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      const developed =
        /\.test\.ts$/.test(file) || folder === 'test' || folder === 'bench' || folder === 'scripts';
      const declared = developed ? developers : users;
      for (const name of packagesOf(readFileSync(join(root, file), 'utf8')))
        expect(Object.keys(declared), `${file} imports ${name}`).toContain(name);
    }
  },
);

test('imports are found in every form', () => {
  const text = `import a from 'one';
import { b,
  c } from "@two/x/y";
import 'three/sub';
export * from 'four';
const d = await import('five'); const e = require('six');
import f from './own.ts'; import { g } from 'node:fs'; import h from 'fs';`;
  expect(packagesOf(text)).toEqual(['one', '@two/x', 'three', 'four', 'five', 'six']);
});
