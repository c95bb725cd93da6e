import { sqlText } from '../../duckdb.ts';
import { PenumbraError } from '../../errors.ts';
import { readRegular } from '../../files/index.ts';
import type { Run } from '../io/tables.ts';
import type { Audit } from '../score/audit.ts';

/**
 * What is done with the hedges of a finding: `as-written` takes their probabilities, `as-labels` takes them for definite
 * (r = 0), since truth was not seen to follow them, and a recalibration replaces p by σ(intercept + slope·logit p).
 */
export type HedgePolicy = 'as-written' | 'as-labels' | { readonly intercept: number; readonly slope: number };

/**
 * What an audit recommends for hedges, by finding.
 * @throws PenumbraError `reports/audit` for a file that is none
 */
export function readHedging(path: string): Record<string, HedgePolicy> {
  let content: Partial<Audit> | null;
  try {
    content = JSON.parse(readRegular(path).toString('utf8'));
  } catch (cause) {
    if (cause instanceof PenumbraError) throw cause;
    content = null;
  }
  if (content?.kind !== 'audit' || !Array.isArray(content.findings)) {
    throw new PenumbraError('reports/audit', `${path} is no audit.`, {
      hint: 'Give the --json of penumbra reports audit.',
      where: { file: path },
    });
  }
  return Object.fromEntries(
    content.findings.map(({ finding, recommendation: { targets, recalibration } }) => [
      finding,
      targets === 'hard' ? 'as-labels' : (recalibration ?? 'as-written'),
    ]),
  );
}

/** Recalibrates the probabilities of the table `rows`, before rates are made of them. */
export async function recalibrateHedges(
  run: Run,
  hedging: Readonly<Record<string, HedgePolicy>>,
): Promise<void> {
  for (const [finding, policy] of Object.entries(hedging)) {
    if (typeof policy === 'string') continue;
    const logit = `(${policy.intercept} + ${policy.slope} * ln(probability / (1 - probability)))`;
    const where = `finding = ${sqlText(finding)} AND probability > 0 AND probability < 1`;
    // Rounded as probabilities are, and kept between: a hedge does not become a definite statement.
    await run(
      `UPDATE rows SET probability = greatest(0.000001, least(0.999999, round(1 / (1 + exp(-${logit})), 6))) WHERE ${where}`,
    );
    await run(`UPDATE rows SET label = CASE WHEN probability >= 0.5 THEN 1 ELSE 0 END WHERE ${where}`);
  }
}

/** Takes hedges for definite statements, after rates were made: r = 0, with the label and the probability as they are. */
export async function hardenHedges(run: Run, hedging: Readonly<Record<string, HedgePolicy>>): Promise<void> {
  const names = Object.keys(hedging).filter((finding) => hedging[finding] === 'as-labels');
  if (names.length === 0) return;
  await run(
    `UPDATE rows SET rate = 0 WHERE rate IS NOT NULL AND finding IN (${names.map(sqlText).join(', ')})`,
  );
}
