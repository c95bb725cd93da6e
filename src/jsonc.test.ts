import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJsonc } from './jsonc.ts';

test('comments and last commas', () => {
  const text = `\uFEFF{ // which
    "a": [1, 2, /* not 3, */ ], "b": "// no comment, /* nor this */ ,]",
    "c\\"//": null, /* over
    two lines */
  }`;
  expect(parseJsonc(text)).toEqual({ a: [1, 2], b: '// no comment, /* nor this */ ,]', 'c"//': null });
});

test('what JSON reads, it reads alike', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(parseJsonc(text)).toEqual(JSON.parse(text));
    }),
  );
});

test.each(['{,}', '[1,,]', '{"a" 1}', '/* never ends', '"a\n"', ''])('%j is refused', (text) => {
  expect(() => parseJsonc(text)).toThrow(SyntaxError);
});
