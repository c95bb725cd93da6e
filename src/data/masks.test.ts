import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { PenumbraError } from '../errors.ts';
import { encodeMask } from '../phantom/index.ts';
import { readMasks } from './index.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-masks-'));
afterAll(() => rmSync(root, { recursive: true }));

function written(...lines: unknown[]): string {
  const path = join(root, 'masks.jsonl');
  writeFileSync(
    path,
    lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''),
  );
  return path;
}

const line = (image: string, finding: string, more: object = {}) => ({
  image,
  finding,
  size: [2, 3],
  // Down the columns: (0, 0) is 0, then three of 1, then two of 0.
  counts: [1, 3, 2],
  ...more,
});

describe('masks', () => {
  test('are rows from the top, found by path, or by a file name that is there once', () => {
    const masks = readMasks(
      written(
        line('a/1.png', 'Edema'),
        line('a/2.png', 'Edema'),
        line('b/2.png', 'Mass'),
        line('a/1.png', 'Mass'),
      ),
    );
    expect(masks.count).toBe(4);
    expect(masks.get('a/1.png', 'Edema')).toEqual({
      height: 2,
      width: 3,
      values: Uint8Array.of(0, 1, 0, 1, 1, 0),
    });
    expect(masks.findingsOf('a/1.png')).toEqual(['Edema', 'Mass']);
    expect(masks.findingsOf('elsewhere/1.png')).toEqual(['Edema', 'Mass']);
    expect(masks.findingsOf('elsewhere/2.png')).toEqual([]);
    expect(masks.get('a/1.png', 'Nodule')).toBeUndefined();
  });

  test('of what only looks like it, and empty ones, are left out', () => {
    const path = written(line('1.png', 'Edema', { present: false }), line('1.png', 'Mass', { counts: [6] }));
    expect(readMasks(path).count).toBe(0);
  });

  test('are what the clinic encodes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 25, maxLength: 25, max: 1 }), (mask) => {
        const masks = readMasks(written(line('1.png', 'x', { size: [5, 5], counts: encodeMask(mask, 5) })));
        const found = masks.get('1.png', 'x')?.values ?? new Uint8Array(25);
        expect(Array.from(found)).toEqual(Array.from(mask));
      }),
    );
  });

  test.each([
    ['no JSON', '{"image": '],
    ['null', 'null'],
    ['no finding', { ...line('1.png', ''), finding: undefined }],
    ['counts that do not add up', line('1.png', 'x', { counts: [1, 2] })],
    ['a negative count', line('1.png', 'x', { counts: [-1, 7] })],
    ['a size of one number', line('1.png', 'x', { size: [6] })],
  ])('%s is an error that names the line, and not its text', (_, bad) => {
    const error = failure(written(line('1.png', 'Edema'), bad));
    expect(error).toMatchObject({ code: 'data/masks', where: { line: 2 } });
    expect(error.message).toMatch(/line 2 is no mask$/);
  });

  test('whatever a line holds: masks, or an error with a code', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          readMasks(written(text));
        } catch (error) {
          expect(error).toBeInstanceOf(PenumbraError);
        }
      }),
    );
  });
});

function failure(path: string): PenumbraError {
  try {
    readMasks(path);
  } catch (error) {
    return error as PenumbraError;
  }
  throw new Error('no error');
}
