import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as metrics from './index.ts';

/** The `@example` blocks of this folder: statements, and `expression; // value` lines that must hold. */
const examples = readdirSync(import.meta.dirname)
  .filter((file) => /^[a-z-]+\.ts$/.test(file))
  .flatMap((file) => {
    const text = readFileSync(`${import.meta.dirname}/${file}`, 'utf8');
    return [
      ...text.matchAll(
        /@example\n((?: \*(?!\/)(?! @).*\n)+?)(?= \*\/| \*\n)[\s\S]*?export (?:function|const) (\w+)/g,
      ),
    ].map(([, block, name]) => ({
      name: `${file}: ${name}`,
      lines: block!.split('\n').map((l) => l.replace(/^ \* ?/, '')),
    }));
  });

test('every example was found', () => {
  const marks = readdirSync(import.meta.dirname)
    .filter((file) => !file.endsWith('.test.ts'))
    .reduce(
      (sum, file) =>
        sum + readFileSync(`${import.meta.dirname}/${file}`, 'utf8').split('@example').length - 1,
      0,
    );
  expect(examples.length).toBe(marks);
  expect(marks).toBeGreaterThan(20);
});

test.each(examples)('$name', ({ lines }) => {
  const names = Object.keys(metrics);
  const body: string[] = [];
  let claims = 0;
  for (const line of lines) {
    const claim = /^(?<code>.*); \/\/ (?<value>.*)$/.exec(line)?.groups;
    if (claim === undefined) {
      body.push(line);
      continue;
    }
    claims++;
    const [, declared, expression] = /^(const \w+ = )?(.*)$/.exec(claim.code!)!;
    expect(declared).toBeUndefined();
    // Types do not survive here, and `x?.y` is plain JavaScript.
    body.push(`expect(${expression}).toEqual(${claim.value});`);
  }
  expect(claims).toBeGreaterThan(0);
  new Function('expect', ...names, body.join('\n'))(expect, ...Object.values(metrics));
});
