import { normalCdf, normalQuantile } from '../../normal.ts';
import { Random } from '../../random.ts';
import { CLINIC_FINDINGS, LATENT } from './findings.ts';
import { type Dials, STREAM } from './options.ts';
import { prevalences, type Study } from './patients.ts';

/** A: how far an artefact shifts the evidence, in standard deviations of its noise. */
export const ARTEFACT = 2;

/** What picture and reader show of each finding: K numbers each, on the evidence scale. */
export interface Evidence {
  readonly picture: Float64Array;
  readonly reader: Float64Array;
  /** K of 0 or 1: where an artefact adds to both. */
  readonly artefact: Uint8Array;
}

/**
 * Evidence of finding k, present (y = 1) or not, with distance d = conspicuity · d_k, an artefact b ~ Bernoulli(π_a) and
 * a reader of skill g:
 *
 *     picture  x = d·y + A·b + u,          u ~ N(0, 1)
 *     reader   e = g·d·y + A·b + v,        v = ρ·u + √(1 − ρ²)·w,   w ~ N(0, 1)
 *
 * What is drawn follows x alone, what is written e alone: neither looks at y. Several readers of one picture share u and b, and
 * have a w each.
 *
 * @param reading which of a study's readings, from 0.
 */
export function evidenceOf(study: Study, skill: number, dials: Dials, reading = 0): Evidence {
  const { seed, conspicuity, artefacts, correlation } = dials;
  const { patient, visit, present } = study;
  const u = new Random(seed, STREAM.picture, patient, visit);
  const w = new Random(seed, STREAM.reader, patient, visit, ...nth(reading));
  const picture = new Float64Array(LATENT);
  const reader = new Float64Array(LATENT);
  const artefact = new Uint8Array(LATENT);
  const other = Math.sqrt(1 - correlation * correlation);
  for (let k = 0; k < LATENT; k++) {
    const d = conspicuity * CLINIC_FINDINGS[k].detectability * present[k];
    const noise = u.normal();
    artefact[k] = u.uniform() < artefacts ? 1 : 0;
    const shift = ARTEFACT * artefact[k];
    picture[k] = d + shift + noise;
    reader[k] = skill * d + shift + correlation * noise + other * w.normal();
  }
  return { picture, reader, artefact };
}

/** What a stream's name ends with: the first reading's has no number, so that more readings leave it as it is. */
export function nth(reading: number): number[] {
  return reading === 0 ? [] : [reading];
}

// The trapezoid rule over each factor: for smooth integrands against a Gaussian its error falls faster than any power.
const NODES = 11;
const STEP = 0.75;

/**
 * The exact posterior of every finding given the evidence on all of them, by Bayes' rule under the copula. Given the
 * factors f findings are independent, so with likelihood ratios L_k
 *
 *     P(y_k = 1 | e) = ∫ [q_k L_k / m_k] Π_j m_j φ(f) df / ∫ Π_j m_j φ(f) df,   m_j = 1 − q_j + q_j L_j,
 *     q_j(f) = Φ((a_j·f − t_j) / √(1 − |a_j|²)),   L_k(e) = p(e | y_k = 1) / p(e | y_k = 0)
 *
 * where p(e | y) is a mixture over whether there is an artefact. The integral is a sum over 11³ nodes, right to about 1e-5. It is the posterior
 * of one study alone: earlier studies of the patient are not used.
 */
export class Posterior {
  private readonly weights: Float64Array;
  private readonly chances: Float64Array;
  private readonly ratios = new Float64Array(LATENT);
  /** 1 for what counts against No Finding. */
  private readonly pathology = Uint8Array.from(CLINIC_FINDINGS, ({ pathology }) => (pathology ? 1 : 0));
  private readonly artefacts: number;
  private readonly conspicuity: number;

  constructor(dials: Dials) {
    this.artefacts = dials.artefacts;
    this.conspicuity = dials.conspicuity;
    const thresholds = Float64Array.from(prevalences(dials), (p) => normalQuantile(1 - p));
    const nodes = NODES ** 3;
    this.weights = new Float64Array(nodes);
    this.chances = new Float64Array(nodes * LATENT);
    const at = (i: number) => (i - (NODES - 1) / 2) * STEP;
    for (let n = 0; n < nodes; n++) {
      const f = [at(n % NODES), at(Math.floor(n / NODES) % NODES), at(Math.floor(n / NODES ** 2))];
      this.weights[n] = Math.exp(-(f[0] * f[0] + f[1] * f[1] + f[2] * f[2]) / 2);
      CLINIC_FINDINGS.forEach(({ loadings: a }, k) => {
        const own = Math.sqrt(1 - a[0] * a[0] - a[1] * a[1] - a[2] * a[2]);
        const mean = a[0] * f[0] + a[1] * f[1] + a[2] * f[2];
        this.chances[n * LATENT + k] = normalCdf((mean - thresholds[k]) / own);
      });
    }
  }

  /**
   * @param evidence K numbers: `Evidence.picture` with skill 1, or `Evidence.reader` with the reader's.
   * @param out K + 1 probabilities in (0, 1): No Finding, then the findings.
   */
  of(evidence: Float64Array, skill: number, out: Float32Array): void {
    const { weights, chances, ratios, pathology } = this;
    const findings = ratios.length;
    for (let k = 0; k < findings; k++) ratios[k] = this.ratio(evidence[k], k, skill);
    const sums = new Float64Array(findings);
    let total = 0;
    let none = 0;
    for (let n = 0, at = 0; n < weights.length; n++, at += findings) {
      let product = weights[n];
      let healthy = weights[n];
      for (let k = 0; k < findings; k++) {
        const absent = 1 - chances[at + k];
        const either = absent + chances[at + k] * ratios[k];
        product *= either;
        healthy *= pathology[k] === 1 ? absent : either;
      }
      total += product;
      none += healthy;
      for (let k = 0; k < findings; k++) {
        const present = chances[at + k] * ratios[k];
        sums[k] += (product * present) / (1 - chances[at + k] + present);
      }
    }
    out[0] = none / total;
    for (let k = 0; k < findings; k++) out[k + 1] = sums[k] / total;
  }

  private ratio(e: number, k: number, skill: number): number {
    const d = skill * this.conspicuity * CLINIC_FINDINGS[k].detectability;
    const density = (mean: number) =>
      (1 - this.artefacts) * Math.exp(-((e - mean) ** 2) / 2) +
      this.artefacts * Math.exp(-((e - mean - ARTEFACT) ** 2) / 2);
    // Far out both densities vanish: bounded, so that no ratio is 0 / 0.
    return Math.min(1e12, Math.max(1e-12, density(d) / Math.max(density(0), 1e-300)));
  }
}
