import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tinyGguf } from '../../../test/reports/llm/tiny-gguf.ts';
import { openRegular } from '../../files/index.ts';
import { Random } from '../../random.ts';
import { checkGguf } from './gguf.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'penumbra-gguf-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const good = Buffer.from(tinyGguf(1));
function check(bytes: Uint8Array): string | undefined {
  const path = join(folder, 'model.gguf');
  writeFileSync(path, bytes);
  using file = openRegular(path);
  return checkGguf(file);
}
/** The header with another 64-bit number at a place. */
function changed(at: number, value: bigint): Buffer {
  const bytes = Buffer.from(good);
  bytes.writeBigUInt64LE(value, at);
  return bytes;
}

test('a whole file passes', () => {
  expect(check(good)).toBeUndefined();
});

test.each([
  ['another beginning', Buffer.from('GGUX'), /no GGUF file/],
  ['nothing behind the beginning', Buffer.from('GGUF'), /ends inside its header/],
  ['2^60 tensors', changed(8, 1n << 60n), /claims 1152921504606846976 tensors/],
  ['2^60 settings', changed(16, 1n << 60n), /settings, which it cannot hold/],
  ['a key of 2^40 bytes', changed(24, 1n << 40n), /bytes for a key/],
  ['a cut end', good.subarray(0, good.length - 5000), /behind its end/],
])('%s is refused', (_, bytes, problem) => {
  expect(check(bytes)).toMatch(problem);
});

test('cut anywhere, or changed anywhere in its header, it is answered at once', () => {
  const random = new Random(7);
  const begin = performance.now();
  for (let i = 0; i < 300; i++) {
    const bytes = Buffer.from(good);
    for (let n = 0; n < 3; n++) bytes[random.below(6000)] = random.below(256);
    check(i % 3 === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes);
  }
  expect(performance.now() - begin).toBeLessThan(5000);
});
