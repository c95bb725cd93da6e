import type { Outputs } from '../../src/figures/index.ts';
import { normalCdf, normalQuantile } from '../../src/normal.ts';
import type { Random } from '../../src/random.ts';

/**
 * Test sets in which few events decide, for one or several methods on the same samples, with a known law: drawing 400,000
 * samples gives the true figures.
 */
export interface Design {
  readonly kind: 'findings' | 'one-of-k';
  /** Expected positives (findings), or expected errors (one of K). */
  readonly events: number;
  /** Images. */
  readonly n: number;
  /** Patients of 1 to 7 images, 4 on average, that share half of every latent variance. */
  readonly patients: boolean;
  /** How far apart positives and negatives lie, or right and wrong answers, in standard deviations. */
  readonly apart: number;
  /** Methods (or seeds) on the same samples, whose noise has a correlation of 0.6. Default one. */
  readonly methods?: number;
  /** Standard deviation of `apart` over methods: how much trainings differ. Default 0. */
  readonly spread?: number;
  /** One more method, the last, which tells more: `apart` and one. */
  readonly better?: boolean;
}

export interface Drawn {
  readonly methods: Outputs[];
  readonly groups: Int32Array | undefined;
}

/** One data set of the design; of `many` images where the truth is wanted, at the same rates. */
export function draw(design: Design, random: Random, many = design.n): Drawn {
  const { patients, spread = 0 } = design;
  const aparts = Array.from({ length: design.methods ?? 1 }, () => design.apart + spread * random.normal());
  if (design.better) aparts.push(design.apart + 1);
  const methods = aparts.length;
  const rate = design.events / design.n;
  const groups = patients ? patientsOf(many, random) : undefined;
  const shared = new Map<number, number[]>();
  const own: number[] = new Array(methods + 2);
  const latent = (i: number): number[] => {
    for (let j = 0; j < own.length; j++) own[j] = random.normal();
    if (groups === undefined) return own;
    const g = groups[i]!;
    let common = shared.get(g);
    if (common === undefined) {
      common = own.map(() => random.normal());
      shared.set(g, common);
    }
    for (let j = 0; j < own.length; j++) own[j] = Math.SQRT1_2 * (own[j]! + common[j]!);
    return own;
  };
  const cut = normalQuantile(rate);
  const [mix, rest] = [Math.sqrt(0.6), Math.sqrt(0.4)];
  if (design.kind === 'findings') {
    const values = new Float32Array(many);
    const probabilities = Array.from({ length: methods }, () => new Float64Array(many));
    for (let i = 0; i < many; i++) {
      const z = latent(i);
      values[i] = z[0]! < cut ? 1 : 0;
      for (let m = 0; m < methods; m++) {
        const score = mix * z[1]! + rest * z[m + 2]! + (values[i] === 1 ? aparts[m]! : 0);
        probabilities[m]![i] = 1 / (1 + Math.exp(-(1.5 * score - 3)));
      }
    }
    const targets = { kind: 'findings', names: ['finding'], values } as const;
    // Called are the 20 % of positives' lower end and above: sensitivity 0.8.
    const threshold = 1 / (1 + Math.exp(-(1.5 * (design.apart - 0.8416) - 3)));
    const thresholds = Float64Array.of(threshold);
    return { methods: probabilities.map((one) => ({ targets, probabilities: one, thresholds })), groups };
  }
  // Three classes, the third with as many cases as there are errors; right or wrong follows a latent of each method.
  const values = new Int32Array(many);
  const probabilities = Array.from({ length: methods }, () => new Float64Array(3 * many));
  for (let i = 0; i < many; i++) {
    const z = latent(i);
    const u = normalCdf(z[0]!);
    const label = u < rate ? 2 : u < rate + (1 - rate) / 2 ? 0 : 1;
    values[i] = label;
    for (let m = 0; m < methods; m++) {
      const wrong = mix * z[1]! + rest * z[m + 2]! < cut;
      const answer = wrong ? (label + 1 + random.below(2)) % 3 : label;
      const confidence = 0.34 + 0.66 * normalCdf(random.normal() * 0.9 + 1 - (wrong ? aparts[m]! : 0));
      const share = 0.2 + 0.6 * random.uniform();
      const left = 1 - confidence;
      const [a, b] = [(answer + 1) % 3, (answer + 2) % 3];
      // None of the others may be the most probable.
      const most = Math.min(left * Math.max(share, 1 - share), confidence * 0.99);
      probabilities[m]![3 * i + answer] = confidence;
      probabilities[m]![3 * i + a] = share > 0.5 ? most : left - most;
      probabilities[m]![3 * i + b] = share > 0.5 ? left - most : most;
    }
  }
  const targets = { kind: 'one-of-k', names: ['a', 'b', 'rare'], values } as const;
  return { methods: probabilities.map((one) => ({ targets, probabilities: one })), groups };
}

function patientsOf(n: number, random: Random): Int32Array {
  const groups = new Int32Array(n);
  for (let i = 0, g = 0; i < n; g++)
    for (let more = 1 + random.below(7); more > 0 && i < n; more--) groups[i++] = g;
  return groups;
}
