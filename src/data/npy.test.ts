import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PenumbraError } from '../errors.ts';
import { npyBytes, npyIntegers, parseNpy } from './npy.ts';

interface Oracle {
  cases: { name: string; npy: string; type: string; shape: number[]; fortran: boolean; values: number[] }[];
  refused: Record<string, string>;
}

const fixture = new URL('../../test/fixtures/data/npy.json', import.meta.url);
const oracle = JSON.parse(readFileSync(fixture, 'utf8')) as Oracle;

test.each(oracle.cases)('NumPy wrote $name', ({ npy, type, shape, fortran, values }) => {
  const array = parseNpy(Buffer.from(npy, 'base64'), 'a.npy');
  expect(array).toMatchObject({ type, shape, fortranOrder: fortran });
  expect([...npyIntegers(array, 'a.npy')]).toEqual(values);
  if (type === 'u1') expect([...npyBytes(array, 'a.npy')]).toEqual(values);
});

test.each(Object.entries(oracle.refused))('%s are refused', (_, npy) => {
  expect(() => parseNpy(Buffer.from(npy, 'base64'), 'a.npy')).toThrow(
    expect.objectContaining({ code: 'data/npy', where: { file: 'a.npy' } }),
  );
});

/** A file of version 1 with any header text. */
function withHeader(header: string, bytes: Buffer = Buffer.alloc(6)): Buffer {
  const head = Buffer.from('\x93NUMPY\x01\x00\0\0', 'latin1');
  head.writeUInt16LE(header.length, 8);
  return Buffer.concat([head, Buffer.from(header, 'latin1'), bytes]);
}

describe('headers', () => {
  test.each([
    "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }    \n",
    '{"shape":(2L,3L),"fortran_order":False,"descr":"|u1"}',
    "  {'fortran_order' : False ,\n 'descr' : '|u1' , 'shape' : ( 2 , 3 , ) }",
  ])('%j is read', (header) => {
    expect(parseNpy(withHeader(header), 'a.npy').shape).toEqual([2, 3]);
  });

  test.each([
    '',
    '{}',
    "{'descr': '|u1', 'fortran_order': False, 'shape': (6)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': [6]}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (6,-1)}",
    "{'descr': '|u1', 'fortran_order': 0, 'shape': (6,)}",
    "{'descr': '|u1', 'fortran_order': False}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (6,), 'shape': (6,)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (6,), 'more': True}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (__import__('os').abort(),)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (7,)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999, 99999999999999)}",
    "{'descr': 'u1', 'fortran_order': False, 'shape': (6,)}",
    "{'descr': '|u1__proto__', 'fortran_order': False, 'shape': (6,)}",
    `{${' '.repeat(9000)}'descr'`,
    `{'shape': (${', '.repeat(4000)}x)}`,
  ])('%j is refused', (header) => {
    expect(() => parseNpy(withHeader(header), 'a.npy')).toThrow(
      expect.objectContaining({ code: 'data/npy' }),
    );
  });

  test('a header that claims gigabytes is refused before anything is allocated', () => {
    const file = Buffer.from('\x93NUMPY\x02\x00\xff\xff\xff\x7f{}', 'latin1');
    expect(() => parseNpy(file, 'a.npy')).toThrow('its header claims 2147483647 bytes');
  });
});

test('damaged files are read or refused, never anything else', () => {
  const files = oracle.cases.map(({ npy }) => Buffer.from(npy, 'base64'));
  const damage = fc.record({
    file: fc.constantFrom(...files),
    at: fc.nat(140),
    byte: fc.nat(255),
    cut: fc.nat(160),
  });
  fc.assert(
    fc.property(damage, ({ file, at, byte, cut }) => {
      const broken = Buffer.from(file);
      if (at < broken.length) broken[at] = byte;
      for (const bytes of [broken, broken.subarray(0, cut)]) {
        try {
          npyIntegers(parseNpy(bytes, 'a.npy'), 'a.npy');
        } catch (error) {
          expect(error).toBeInstanceOf(PenumbraError);
        }
      }
    }),
    { numRuns: 3000 },
  );
});

test('labels that are no 32-bit integers, and pixels that are no bytes, are refused', () => {
  const of = (type: string, bytes: Buffer) =>
    parseNpy(withHeader(`{'descr': '${type}', 'fortran_order': False, 'shape': (1,)}`, bytes), 'a.npy');
  const refusal = expect.objectContaining({ code: 'data/npy' });
  const large = Buffer.alloc(8);
  large.writeBigInt64LE(2n ** 40n);
  expect(() => npyIntegers(of('<i8', large), 'a.npy')).toThrow(refusal);
  expect(() => npyIntegers(of('<f4', Buffer.alloc(4)), 'a.npy')).toThrow(refusal);
  expect(() => npyBytes(of('<i2', Buffer.alloc(2)), 'a.npy')).toThrow(refusal);
});
