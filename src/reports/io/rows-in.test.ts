import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Random } from '../../random.ts';
import type { FindingRow, Status } from '../types.ts';
import { rowLines } from './row-lines.ts';
import { readRows, statusCodes } from './rows-in.ts';

const folder = mkdtempSync(join(tmpdir(), 'penumbra-rows-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('arrays are those of JSON.parse, whatever the rows say and however they stand in the file', async () => {
  const random = new Random(7);
  const pick = <T>(of: readonly T[]): T => of[random.below(of.length)]!;
  const findings = Array.from({ length: 40 }, (_, k) =>
    pick([`Finding ${k}`, `${k} "evidence",`, `,\\"e${k}`, `Erguß ${k}`, `肺炎 ${k}`]),
  );
  const ids = Array.from({ length: 3000 }, (_, i) =>
    pick([`r${i}`, `r${i}"`, `r${i}\\`, `é${i}`, `r${i}##2`]),
  );
  const rows: FindingRow[] = [];
  let file = '';
  for (const id of ids) {
    for (const finding of findings) {
      if (random.below(3) === 0) continue;
      const probability = pick([null, null, 0, 1, 0.05, 0.629, random.below(1e6) / 1e6]);
      const row: FindingRow = {
        id,
        finding,
        status: pick(statusCodes) as Status,
        probability,
        deviation: probability === null ? null : pick([null, 0, 0.01]),
        label: probability === null ? null : probability >= 0.5 ? 1 : 0,
        rate: probability === null ? null : pick([0, 0.5]),
        // One row is longer than the reader's buffer.
        evidence:
          rows.length === 500
            ? [{ phrase: 'x', start: 0, end: 1, section: 'body', sentence: 'y '.repeat(3_000_000) }]
            : [],
        extractor: 'rules',
        version: '0',
      };
      rows.push(row);
      const { status, ...others } = row;
      file += random.below(10) === 0 ? `${JSON.stringify({ status, ...others })}\n` : rowLines([row]);
    }
  }
  const path = join(folder, 'rows.jsonl');
  writeFileSync(path, file.slice(0, -1)); // the last line without a break
  const targets = await readRows(path);
  expect(targets.ids).toEqual([...new Set(rows.map((row) => row.id))]);
  expect(targets.findings).toEqual([...new Set(rows.map((row) => row.finding))]);
  const N = targets.ids.length;
  const K = targets.findings.length;
  const expected = {
    probability: new Float32Array(N * K).fill(Number.NaN),
    deviation: new Float32Array(N * K).fill(Number.NaN),
    rate: new Float32Array(N * K).fill(Number.NaN),
    mask: new Uint8Array(N * K),
    status: new Uint8Array(N * K),
  };
  const rowOf = new Map(targets.ids.map((id, i) => [id, i]));
  const columnOf = new Map(targets.findings.map((finding, k) => [finding, k]));
  for (const row of rows) {
    const at = rowOf.get(row.id)! * K + columnOf.get(row.finding)!;
    expected.status[at] = statusCodes.indexOf(row.status);
    if (row.probability === null) continue;
    expected.mask[at] = 1;
    expected.probability[at] = row.probability;
    expected.deviation[at] = row.deviation ?? Number.NaN;
    expected.rate[at] = row.rate!;
  }
  for (const [name, values] of Object.entries(expected)) {
    const got = targets[name as keyof typeof expected];
    expect(Buffer.compare(bytesOf(got), bytesOf(values)), name).toBe(0);
  }
});

function bytesOf(values: Float32Array | Uint8Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}
