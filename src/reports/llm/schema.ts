import { z } from 'zod';
import { PenumbraError } from '../../errors.ts';
import { type Level, levelNames } from './levels.ts';

/** The most quotations that an answer may give for one finding, and the most characters of one. */
const mostQuotes = 3;
const longestQuote = 240;

/** What the model says about one finding: its words first, so that it reads before it judges. */
export interface Judgement {
  readonly evidence: readonly string[];
  readonly assertion: Level;
}

/**
 * What the constraint on the decoding lets through must not be refused here. It counts code points, zod UTF-16 units;
 * and where a model writes bytes that are no UTF-8, one of its characters arrives as up to four replacement marks.
 */
const quote = z
  .string()
  .refine((text) => text.length <= longestQuote || [...text.replaceAll('\ufffd', '')].length <= longestQuote)
  .meta({ maxLength: longestQuote });

const judgement = z
  .strictObject({
    evidence: z.array(quote).max(mostQuotes),
    assertion: z.enum(levelNames),
  })
  .nullable();

/** The one schema of an answer: it constrains the decoding, and what comes back is checked against it. */
export interface AnswerSchema {
  readonly findings: readonly string[];
  /** JSON Schema (2020-12 without `$schema`), the properties in the order of the findings, all of them required. */
  readonly json: Readonly<Record<string, unknown>>;
  /** Checks what was said of one finding. The problem names the rule, never the text that broke it. */
  check(value: unknown): { readonly judgement: Judgement | null } | { readonly problem: string };
}

/** @throws PenumbraError `reports/findings` when there is no finding, or a name that no JSON object can hold. */
export function answerSchema(findings: readonly string[]): AnswerSchema {
  if (findings.length === 0 || findings.includes('__proto__')) {
    throw new PenumbraError('reports/findings', 'A language model needs findings with ordinary names.', {
      hint: 'Give a set with one finding at least; "__proto__" is no name for one.',
    });
  }
  const root = z.strictObject(Object.fromEntries(findings.map((finding) => [finding, judgement])));
  const { $schema: _, ...json } = z.toJSONSchema(root) as Record<string, unknown>;
  return {
    findings,
    json,
    check(value) {
      const result = judgement.safeParse(value);
      if (result.success) return { judgement: result.data };
      const issue = result.error.issues[0]!;
      // Only names of ours: keys and values of an answer may hold a patient's words.
      const place = issue.path.find((part) => part === 'evidence' || part === 'assertion');
      return { problem: place === undefined ? issue.code : `${issue.code} at ${String(place)}` };
    },
  };
}

const limits = new Set(['maxLength', 'maxItems']);

/** The same schema without what strict servers refuse: lengths and counts. */
export function withoutLimits(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutLimits);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key, value]) => !(limits.has(key) && typeof value === 'number'))
      .map(([key, value]) => [key, withoutLimits(value)]),
  );
}
