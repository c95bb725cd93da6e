import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { extract, rulesExtractor } from '../extract/index.ts';
import { createAssessor } from '../rules/assess.ts';
import { auditLabeler, labelerText } from './audit-labeler.ts';
import { type LabelerCase, labelerErrors } from './labeler.ts';

function times(
  n: number,
  label: 1 | 0 | -1,
  hedged: boolean,
  truth: boolean,
  finding = 'Edema',
): LabelerCase[] {
  return new Array<LabelerCase>(n).fill({ finding, label, hedged, truth });
}

test('errors on hedged and plain mentions by hand, by what −1 is taken for', () => {
  const { findings, overall } = labelerErrors([
    ...times(90, 1, false, true),
    ...times(10, 1, false, false),
    ...times(190, 0, false, false),
    ...times(10, 0, false, true),
    ...times(12, -1, true, true),
    ...times(8, -1, true, false),
    ...times(5, 1, true, false), // deaf to the hedge
    ...times(3, 0, false, false, 'Mass'),
  ]);
  const [edema, mass] = findings;
  expect(edema!.plain.definite).toMatchObject({ count: 20, n: 300 });
  expect(edema!.plain.asOnes).toEqual(edema!.plain.definite);
  expect(edema!.hedged).toMatchObject({
    uncertain: { count: 20, n: 25 },
    definite: { count: 5, n: 5 },
    asOnes: { count: 13, n: 25 },
    asZeros: { count: 17, n: 25 },
  });
  expect(edema!.hedged.asOnes.low).toBeGreaterThan(0.3);
  expect(mass!.hedged.asOnes).toEqual({ count: 0, n: 0, value: null, low: null, high: null });
  expect(overall).toMatchObject({ finding: 'all findings', plain: { definite: { count: 20, n: 303 } } });
});

test('of files: what is hedged by the rows, labels of a table or of the rows themselves', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'labeler-'));
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  try {
    const reports = write(
      'reports.csv',
      'id,text\na,Possible edema. No fracture.\nb,Edema.\nc,Edema cannot be excluded.\nd,Clear.\n',
    );
    const rows = join(folder, 'rows.jsonl');
    await extract(reports, rows, rulesExtractor(createAssessor()));
    const gold = write('gold.csv', 'report,Edema,Fracture\na,1,0\nb,0,\nc,0,0\nd,1,\n');
    const table = write('plain.csv', 'report,Edema,Fracture\na,0,0\nb,1,\nc,-1,\nd,,\n');
    const own = await auditLabeler(rows, gold);
    expect(own.overall.hedged).toMatchObject({
      uncertain: { count: 2, n: 2 },
      definite: { n: 0 },
      asOnes: { count: 1, n: 2 },
      asZeros: { count: 1, n: 2 },
    });
    expect(own.overall.plain.definite).toMatchObject({ count: 1, n: 2 });
    const other = await auditLabeler(rows, gold, table);
    expect(other.findings.map(({ finding }) => finding)).toEqual(['Edema', 'Fracture']);
    expect(other.overall.hedged).toMatchObject({
      uncertain: { count: 1, n: 2 },
      definite: { count: 1, n: 1 },
      asOnes: { count: 2, n: 2 },
      asZeros: { count: 1, n: 2 },
    });
    expect(labelerText(other)).toContain('| Edema ');
    await expect(auditLabeler(rows, write('none.csv', 'report,Edema\nz,1\n'))).rejects.toMatchObject({
      code: 'reports/gold',
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
