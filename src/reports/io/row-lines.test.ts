import { expect, test } from 'vitest';
import { Random } from '../../random.ts';
import type { Evidence, FindingRow, Section, Status } from '../types.ts';
import { RowLines } from './row-lines.ts';

const texts = [
  '',
  'effusion',
  'a "quoted" one',
  'back\\slash',
  'Erguß, 5 µm',
  '肺炎 疑い',
  '\u0000\t\r\n\u007f\u2028',
  'half \ud800 a pair',
  '😀'.repeat(40),
  'a long sentence without anything to escape '.repeat(20),
];
const statuses: Status[] = ['present', 'absent', 'uncertain', 'not_mentioned', 'failed'];
const sections: Section[] = ['body', 'findings', 'impression'];
const random = new Random(11);
const pick = <T>(of: readonly T[]): T => of[random.below(of.length)]!;

function anyRow(id: string, findings: readonly string[]): FindingRow {
  const status = pick(statuses);
  const probability = pick([null, 0, 1, 0.161, 1e-7, 0.629]);
  const evidence = Array.from(
    { length: random.below(4) },
    (): Evidence => ({
      phrase: pick(texts),
      start: pick([0, 7, 10, 99, 100, 123456, 2_000_000_000]),
      end: random.below(1000),
      section: pick(sections),
      sentence: pick(texts),
    }),
  );
  return {
    id,
    finding: pick(findings),
    status,
    probability,
    deviation: pick([null, 0, 0.0123]),
    label: probability === null ? null : probability >= 0.5 ? 1 : 0,
    rate: pick([null, 0, 0.322]),
    evidence,
    extractor: pick(['rules', 'llm']),
    version: pick(['0123456789abcdef', 'fedcba9876543210']),
    ...(random.below(5) === 0 ? { reason: pick(texts) } : {}),
  };
}

test('lines are JSON.stringify of the rows, whatever they hold, in whatever order', () => {
  const findings = [...texts, ...Array.from({ length: 300 }, (_, i) => `finding ${i}`)];
  const lines = new RowLines();
  for (let round = 0; round < 12; round++) {
    let expected = '';
    for (let report = 0; report < 50; report++) {
      const id = pick([`r${report}`, `${pick(texts)}${report}`]);
      const rows = Array.from({ length: 14 }, () => anyRow(id, findings));
      lines.add(rows);
      expected += rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    }
    // A report that is larger than the buffer.
    if (round === 5) {
      const large = { ...anyRow('large', findings), reason: 'ß'.repeat(3_000_000) };
      lines.add([large]);
      expected += `${JSON.stringify(large)}\n`;
    }
    expect(Buffer.from(lines.view()).toString('utf8') === expected).toBe(true);
    expect(lines.view().length).toBe(Buffer.byteLength(expected, 'utf8'));
    lines.clear();
  }
});
