import { expect } from 'vitest';
import { z } from 'zod';
import { type FindingRow, probabilityToRate, type Report } from '../../../src/reports/index.ts';
import { findings } from './fault-server.ts';

const row = z.strictObject({
  id: z.string(),
  finding: z.string(),
  status: z.enum([
    'present',
    'absent',
    'uncertain',
    'historical',
    'conditional',
    'other',
    'not_mentioned',
    'failed',
  ]),
  probability: z.number().min(0).max(1).nullable(),
  deviation: z.number().min(0).max(0.5).nullable(),
  label: z.union([z.literal(0), z.literal(1), z.null()]),
  rate: z.number().min(0).max(1).nullable(),
  evidence: z
    .array(
      z.strictObject({
        phrase: z.string().min(3),
        start: z.number().int().min(0),
        end: z.number().int(),
        section: z.enum([
          'findings',
          'impression',
          'history',
          'comparison',
          'technique',
          'recommendation',
          'body',
        ]),
        sentence: z.string(),
      }),
    )
    .max(3),
  extractor: z.literal('llm'),
  version: z.string().regex(/^[0-9a-f]{16}$/),
  reason: z
    .string()
    .regex(
      /^(timeout|connection|rate-limited|server|crashed|unauthorized|not-found|redirect|refused|too-long|empty|too-large|cut-off|not-json|schema|unverified evidence|doubtful evidence): ?[\w ,.;()'/-]*$/,
    )
    .optional(),
});

/** Either one valid row per finding in order, or one failed row; and all that they quote stands where they say. */
export function expectRows(rows: readonly FindingRow[], report: Report): void {
  if (rows.length === 1)
    expect(rows[0]).toMatchObject({ finding: '', status: 'failed', reason: expect.any(String) });
  else expect(rows.map((r) => r.finding)).toEqual(findings);
  for (const value of rows) {
    const result = row.safeParse(value);
    expect(result.error?.issues ?? []).toEqual([]);
    expect(value.id).toBe(report.id);
    expect({ label: value.label, rate: value.rate }).toEqual(probabilityToRate(value.probability));
    if (value.status === 'failed') expect(value.reason).toBeDefined();
    for (const { start, end, phrase, sentence } of value.evidence) {
      expect(report.text!.slice(start, end)).toBe(phrase);
      expect(report.text).toContain(sentence);
      expect(sentence).toContain(phrase);
    }
  }
}
