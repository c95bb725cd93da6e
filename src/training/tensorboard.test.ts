import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { crc32c, EventWriter, record } from './tensorboard.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'penumbra-events-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('CRC-32C', () => {
  test('the check value of the catalogue and the vectors of RFC 3720, B.4', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => 31 - i))).toBe(0x113fdb5c);
    expect(crc32c(new Uint8Array(0))).toBe(0);
  });

  test('a record that is damaged anywhere no longer fits its sums', () => {
    const whole = record(Buffer.from('penumbra'));
    expect(whole.length).toBe(8 + 4 + 8 + 4);
    expect(whole.subarray(0, 8)).toEqual(Buffer.from([8, 0, 0, 0, 0, 0, 0, 0]));
    for (let i = 12; i < 20; i++) {
      const damaged = Buffer.from(whole.subarray(12, 20));
      damaged[i - 12]! ^= 1;
      expect(record(damaged).readUInt32LE(20)).not.toBe(whole.readUInt32LE(20));
    }
  });
});

describe('EventWriter', () => {
  test('writes the bytes that TensorBoard’s own protobuf and record writer give', () => {
    const expected = readFileSync(
      new URL('../../test/fixtures/study/tensorboard-events.bin', import.meta.url),
    );
    const writer = new EventWriter(folder, { now: () => 1700000000.25, resumeStep: 300 });
    writer.scalar('train/loss', 1.25, 0, 1700000001.5);
    writer.scalars({ 'val/ece': 0.1, größe: -3e-9 }, 5_000_000_000, 1700000002.5);
    writer.close();
    expect(readFileSync(writer.path).toString('hex')).toBe(expected.toString('hex'));
  });

  test('is named as TensorBoard looks for it, and never writes into a file that is there', () => {
    const now = () => 1700000000.9;
    const names = [1, 2, 3].map(() => {
      using writer = new EventWriter(join(folder, 'new', 'run'), { now });
      return writer.path;
    });
    expect(names[0]).toBe(join(folder, 'new', 'run', 'events.out.tfevents.1700000000.penumbra'));
    expect(new Set(names).size).toBe(3);
    expect(readdirSync(join(folder, 'new', 'run')).length).toBe(3);
  });

  test('every call is on the disk when it returns, whole', () => {
    const writer = new EventWriter(folder, { now: () => 1 });
    const before = readFileSync(writer.path).length;
    writer.scalar('a', 2, 3);
    const after = readFileSync(writer.path);
    expect(after.length).toBeGreaterThan(before);
    expect(after.readBigUInt64LE(before)).toBe(BigInt(after.length - before - 16));
    writer.close();
  });

  test('NaN and infinity are kept; nothing is written of nothing', () => {
    using writer = new EventWriter(folder, { now: () => 1 });
    writer.scalar('a', Number.NaN, 1);
    const bytes = readFileSync(writer.path);
    expect(bytes.readFloatLE(bytes.length - 8)).toBeNaN();
    writer.scalars({}, 2);
    expect(readFileSync(writer.path).length).toBe(bytes.length);
    writer.scalar('a', Number.NEGATIVE_INFINITY, 2);
    expect(readFileSync(writer.path).readFloatLE(readFileSync(writer.path).length - 8)).toBe(
      Number.NEGATIVE_INFINITY,
    );
  });

  test('refuses what TensorBoard could not show', () => {
    const writer = new EventWriter(folder);
    for (const step of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => writer.scalar('a', 1, step)).toThrow(
        expect.objectContaining({ code: 'tensorboard/step' }),
      );
    }
    expect(() => writer.scalar('', 1, 1)).toThrow(expect.objectContaining({ code: 'tensorboard/tag' }));
    expect(() => new EventWriter(folder, { resumeStep: -1 })).toThrow('whole number');
    writer.close();
    writer.close();
    expect(() => writer.scalar('a', 1, 1)).toThrow(expect.objectContaining({ code: 'tensorboard/closed' }));
  });
});
