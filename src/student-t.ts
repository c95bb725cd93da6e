import { normalCdf, normalQuantile } from './normal.ts';

/**
 * Student's t: P(T ≤ t) with `freedom` degrees of freedom (any number above 0, Infinity is the normal distribution), by
 * the regularised incomplete beta function, P(|T| > t) = I_{ν/(ν+t²)}(ν/2, ½) (Abramowitz and Stegun 26.7.1), to about 1e-12.
 */
export function studentCdf(t: number, freedom: number): number {
  return freedom < 1e6 ? cdf(t, freedom, lnBetas(freedom / 2, 0.5)) : normalCdf(t);
}

/** The t with P(T ≤ t) = p, for p in (0, 1), by bisection to 1e-10 relative: for tables, not for inner loops. */
export function studentQuantile(p: number, freedom: number): number {
  if (p < 0.5) return -studentQuantile(1 - p, freedom);
  if (!(freedom < 1e6)) return normalQuantile(p);
  const betas = lnBetas(freedom / 2, 0.5);
  let low = 0;
  let high = 1;
  while (cdf(high, freedom, betas) < p && high < 1e12) high *= 4;
  while (high - low > 1e-10 * high) {
    const middle = (low + high) / 2;
    if (cdf(middle, freedom, betas) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function cdf(t: number, freedom: number, betas: Betas): number {
  const tail = incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5, betas) / 2;
  return t > 0 ? 1 - tail : tail;
}

/** −ln B(a, b) and −ln B(b, a), which rounding tells apart. */
type Betas = readonly [number, number];

function lnBetas(a: number, b: number): Betas {
  const [both, ofA, ofB] = [logGamma(a + b), logGamma(a), logGamma(b)];
  return [both - ofA - ofB, both - ofB - ofA];
}

/** I_x(a, b), by its continued fraction (Numerical Recipes, 3rd ed., §6.4, modified Lentz). */
function incompleteBeta(x: number, a: number, b: number, [own, turned]: Betas): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a, [turned, own]);
  const front = Math.exp(own + a * Math.log(x) + b * Math.log1p(-x));
  let c = 1;
  let d = 1 / nonZero(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m < 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / nonZero(1 + even * d);
    c = nonZero(1 + even / c);
    fraction *= c * d;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / nonZero(1 + odd * d);
    c = nonZero(1 + odd / c);
    fraction *= c * d;
    if (Math.abs(c * d - 1) < 1e-15) break;
  }
  return (front * fraction) / a;
}

function nonZero(x: number): number {
  return Math.abs(x) < 1e-300 ? 1e-300 : x;
}

const LANCZOS: readonly number[] = [
  676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** ln Γ(x) for x > 0 (Lanczos, SIAM Journal on Numerical Analysis 1964, g = 7). */
function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  let sum = 0.99999999999980993;
  LANCZOS.forEach((c, i) => {
    sum += c / (x + i);
  });
  const t = x + 6.5;
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}
