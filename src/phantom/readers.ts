import { normalCdf } from '../normal.ts';
import type { Random } from '../random.ts';

/** The five grades, as for the Kellgren–Lawrence scale (Annals of the Rheumatic Diseases 16, 1957). */
export const GRADES: readonly string[] = ['G0_none', 'G1_doubtful', 'G2_minimal', 'G3_moderate', 'G4_severe'];

/** Severities at which a reader without noise changes from one grade to the next. */
export const GRADE_THRESHOLDS: readonly number[] = [0.34, 0.52, 0.72, 0.88];

/** The default spread τ of a reader's perceived severity, on the severity scale [0, 1]. */
export const DEFAULT_READER_NOISE = 0.085;

/**
 * How virtual readers grade: an ordinal probit. A reader perceives `s + τ·ε` with ε standard normal, new at each
 * reading, and gives the grade whose thresholds enclose it:
 *
 *     P(grade = k | s) = Φ((t_{k+1} − s) / τ) − Φ((t_k − s) / τ),   t_0 = −∞, t_5 = +∞.
 *
 * So neighbouring grades are confused, most of all near a threshold.
 *
 * @param severity s in [0, 1].
 * @param readerNoise τ > 0.
 * @returns the probabilities of the five grades; they sum to 1.
 */
export function gradePosterior(severity: number, readerNoise = DEFAULT_READER_NOISE): number[] {
  let below = 0;
  return GRADES.map((_, k) => {
    const upTo = k < GRADE_THRESHOLDS.length ? normalCdf((GRADE_THRESHOLDS[k] - severity) / readerNoise) : 1;
    const probability = upTo - below;
    below = upTo;
    return probability;
  });
}

/** One reading: the grade that a reader gives to an image of this severity. */
export function readGrade(severity: number, readerNoise: number, random: Random): number {
  const perceived = severity + readerNoise * random.normal();
  let grade = 0;
  while (grade < GRADE_THRESHOLDS.length && perceived >= GRADE_THRESHOLDS[grade]) grade++;
  return grade;
}
