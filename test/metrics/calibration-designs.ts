/**
 * Predictions whose calibration is known: what `bench/calibration-coverage.ts` and the coverage test simulate.
 *
 * A design has a law of the confidence c, a true curve μ(c) = P(outcome = 1 | c), and so the true calibration error
 * E|μ(c) − c|, to which the curve is scaled. Copulas make images of one patient, and the seeds of one method, vary
 * together, while every single image keeps its law.
 */
import type { CalibrationRun } from '../../src/metrics/index.ts';
import { normalCdf } from '../../src/normal.ts';
import type { Random } from '../../src/random.ts';

/** How confidences lie. `top` is the top-1 confidence of one of K; `p` the probability of one finding. */
export const LAWS = {
  'top, wide': (u: number) => 1 - 0.65 * u ** 1.5,
  'top, narrow': (u: number) => 0.52 + 0.16 * u,
  'top, clumps': (u: number) => (u < 0.3 ? 0.6 : u < 0.7 ? 0.8 : 0.95),
  /** Nearly always right: 2 errors in 200. */
  'top, sure': (u: number) => 1 - 0.02 * u,
  'p, wide': (u: number) => 0.5 - 0.5 * Math.cos(Math.PI * u),
  'p, narrow': (u: number) => 0.52 + 0.16 * u,
  'p, clumps': (u: number) => (u < 0.5 ? 0.1 : u < 0.8 ? 0.5 : 0.9) + 0.02 * u,
  /** The true probability, of 6 % on average; the confidence follows from it. */
  'p, rare': (u: number) => 0.01 + 0.25 * u ** 4,
} as const;
export type Law = keyof typeof LAWS;

/** How the truth leaves the diagonal. */
export const SHAPES = ['constant', 'crossing', 'proportional', 'three crossings'] as const;
export type Shape = (typeof SHAPES)[number];

/** μ(c) for strength a; `u` is the rank of c in (0, 1), `middle` the median of c. */
function curve(shape: Shape, c: number, u: number, a: number, middle: number): number {
  const truth =
    shape === 'constant'
      ? c - a
      : shape === 'crossing'
        ? c + a * (middle - c)
        : shape === 'proportional'
          ? c * (1 - a)
          : c + a * Math.sin(4 * Math.PI * u) * Math.min(c, 1 - c);
  return Math.min(1, Math.max(0, truth));
}

/** For a rare finding: the confidence that a true probability q gets. */
function confidenceOfRare(shape: Shape, q: number, u: number, a: number, middle: number): number {
  const c =
    shape === 'constant'
      ? q + a
      : shape === 'crossing'
        ? q + a * (middle - q)
        : shape === 'proportional'
          ? q * (1 + a)
          : q + a * Math.sin(4 * Math.PI * u) * q;
  return Math.min(1, Math.max(0, c));
}

const POINTS = 1000;

export interface Truth {
  readonly law: Law;
  readonly shape: Shape;
  readonly error: number;
  /** c and μ(c) at rank u. */
  at(u: number): readonly [number, number];
}

/** The curve of that shape whose true error is `error`, or `null` where the shape cannot reach it under this law. */
export function truthOf(law: Law, shape: Shape, error: number): Truth | null {
  const quantile = LAWS[law];
  const rare = law === 'p, rare';
  const middle = rare ? 0.06 : quantile(0.5);
  const at = (u: number, a: number): readonly [number, number] => {
    const x = quantile(u);
    // Tied confidences have one truth.
    if (law === 'top, clumps') u = u < 0.3 ? 0.15 : u < 0.7 ? 0.5 : 0.85;
    return rare ? [confidenceOfRare(shape, x, u, a, middle), x] : [x, curve(shape, x, u, a, middle)];
  };
  const errorAt = (a: number): number => {
    let sum = 0;
    for (let i = 0; i < POINTS; i++) {
      const [c, truth] = at((i + 0.5) / POINTS, a);
      sum += Math.abs(c - truth);
    }
    return sum / POINTS;
  };
  let low = 0;
  // A confidence that falls with the true probability would give two truths to one confidence.
  let high = rare && shape === 'crossing' ? 0.99 : rare && shape === 'three crossings' ? 0.2 : 8;
  if (error > errorAt(high)) return null;
  for (let step = 0; step < 40; step++) {
    const a = (low + high) / 2;
    if (errorAt(a) < error) low = a;
    else high = a;
  }
  return { law, shape, error, at: (u) => at(u, error === 0 ? 0 : high) };
}

export interface Sampling {
  readonly n: number;
  /** Several images of each patient (1 to 7, 4 on average), whose confidences and outcomes vary together. */
  readonly patients: boolean;
}

/** How much of a latent variance the images of one patient share. */
const PATIENT = 0.5;
/** How much of a latent variance two runs on one image share: of the confidence, and of the outcome. */
const RUN_CONFIDENCE = 0.8;
const RUN_OUTCOME = { top: 0.7, p: 0.98 } as const;

/** One data set: a run for each truth, all of the same images. */
export function simulate(
  truths: readonly Truth[],
  { n, patients }: Sampling,
  random: Random,
): { runs: CalibrationRun[]; groups?: Int32Array } {
  const groups = patients ? new Int32Array(n) : undefined;
  const runs = truths.map(() => ({ confidence: new Float64Array(n), outcome: new Uint8Array(n) }));
  const many = truths.length;
  const own = Math.sqrt(1 - PATIENT);
  const shared = Math.sqrt(PATIENT);
  const kind = truths[0]!.law.startsWith('top') ? 'top' : 'p';
  const between = [RUN_CONFIDENCE, RUN_OUTCOME[kind]].map((r) => [Math.sqrt(r), Math.sqrt(1 - r)] as const);
  let patient = -1;
  let left = 0;
  let v = 0;
  let w = 0;
  for (let i = 0; i < n; i++) {
    let x: number;
    let y: number;
    if (groups === undefined) {
      if (many === 1) {
        const [c, truth] = truths[0]!.at(random.uniform());
        runs[0]!.confidence[i] = c;
        runs[0]!.outcome[i] = random.uniform() < truth ? 1 : 0;
        continue;
      }
      x = random.normal();
      y = random.normal();
    } else {
      if (left === 0) {
        patient++;
        left = 1 + random.below(7);
        v = random.normal();
        w = random.normal();
      }
      left--;
      groups[i] = patient;
      x = shared * v + own * random.normal();
      y = shared * w + own * random.normal();
    }
    for (let s = 0; s < many; s++) {
      const [cShared, cOwn] = between[0]!;
      const [yShared, yOwn] = between[1]!;
      const u = many === 1 ? x : cShared * x + cOwn * random.normal();
      const z = many === 1 ? y : yShared * y + yOwn * random.normal();
      const [c, truth] = truths[s]!.at(normalCdf(u));
      runs[s]!.confidence[i] = c;
      runs[s]!.outcome[i] = normalCdf(z) < truth ? 1 : 0;
    }
  }
  return groups === undefined ? { runs } : { runs, groups };
}
