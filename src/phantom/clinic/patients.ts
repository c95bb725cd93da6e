import { normalQuantile } from '../../normal.ts';
import { Random } from '../../random.ts';
import { CLINIC_FINDINGS, LATENT } from './findings.ts';
import { type Dials, STREAM } from './options.ts';

/** One study of a patient: when it was among theirs, and what they have. */
export interface Study {
  /** Number of the study in the clinic, 0 to N − 1. */
  readonly index: number;
  readonly patient: number;
  /** Number among the patient's studies, from 0. */
  readonly visit: number;
  /** K of 0 or 1. */
  readonly present: Uint8Array;
}

/** How much of the factors stays between two studies of a patient. */
const FACTOR_PERSISTENCE = 0.6;

/** Chances of 1, 2, 3, 4 and 5 studies of a patient. */
const VISITS = [0.45, 0.27, 0.15, 0.08, 0.05];

/** π of each finding with the dial at work: odds times `prevalence`. */
export function prevalences({ prevalence }: Pick<Dials, 'prevalence'>): Float64Array {
  return Float64Array.from(CLINIC_FINDINGS, ({ prevalence: p }) => {
    const odds = (prevalence * p) / (1 - p);
    return odds / (1 + odds);
  });
}

/**
 * The clinic's studies, patient by patient. Latent findings are a Gaussian copula of rank 3:
 *
 *     z_k = a_k·f + √(1 − |a_k|²)·η_k,   y_k = 1[z_k > Φ⁻¹(1 − π_k)]
 *
 * with f (three factors) and η standard normal in every study, so that P(y_k = 1) = π_k. Over a patient's studies
 * f and η_k keep a part: f = √s·f_patient + √(1 − s)·f_study with s = 0.6, and η_k the same with its own persistence.
 */
export function* studiesOf(dials: Dials): Generator<Study> {
  const thresholds = Float64Array.from(prevalences(dials), (p) => normalQuantile(1 - p));
  const own = CLINIC_FINDINGS.map(({ loadings }) => Math.sqrt(1 - loadings.reduce((s, a) => s + a * a, 0)));
  const keep = Math.sqrt(FACTOR_PERSISTENCE);
  const change = Math.sqrt(1 - FACTOR_PERSISTENCE);
  let index = 0;
  for (let patient = 0; index < dials.images; patient++) {
    const random = new Random(dials.seed, STREAM.patient, patient);
    let rest = random.uniform();
    let visits = 1;
    while (visits < VISITS.length && rest >= VISITS[visits - 1]) rest -= VISITS[visits++ - 1];
    const factors = [random.normal(), random.normal(), random.normal()];
    const lasting = Float64Array.from({ length: LATENT }, () => random.normal());
    for (let visit = 0; visit < visits && index < dials.images; visit++) {
      const now = new Random(dials.seed, STREAM.study, patient, visit);
      const f = factors.map((factor) => keep * factor + change * now.normal());
      const present = new Uint8Array(LATENT);
      CLINIC_FINDINGS.forEach(({ loadings: a, persistence: s }, k) => {
        const eta = Math.sqrt(s) * lasting[k] + Math.sqrt(1 - s) * now.normal();
        const z = a[0] * f[0] + a[1] * f[1] + a[2] * f[2] + own[k] * eta;
        present[k] = z > thresholds[k] ? 1 : 0;
      });
      yield { index: index++, patient, visit, present };
    }
  }
}
