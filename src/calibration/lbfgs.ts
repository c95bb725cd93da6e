/** What {@link minimize} found. */
export interface Minimum {
  readonly x: Float64Array;
  readonly iterations: number;
  /** Whether the greatest |derivative| came below the tolerance, or nothing was left to win. */
  readonly converged: boolean;
}

export interface MinimizeOptions {
  /** The greatest |derivative| at which to stop. */
  readonly tolerance: number;
  readonly maxIterations: number;
  /** Stops, too, where ten steps together lowered the value by less than this share of it. Default 0: never. */
  readonly decrease?: number;
  /** Rough second derivatives, D above 0 numbers: the first guess at the Hessian's diagonal. */
  readonly diagonal: Float64Array;
}

/** How many steps are remembered. */
const MEMORY = 20;

/**
 * Minimises a smooth convex function of D numbers by limited-memory BFGS (Nocedal and Wright, Numerical Optimization,
 * 2nd ed., algorithms 7.4 and 7.5) with halving steps until the decrease is sufficient (Armijo, 1e-4).
 *
 * @param start D numbers; not changed.
 * @param evaluate the value at `x`; writes the D derivatives to `gradient`.
 */
export function minimize(
  start: Float64Array,
  evaluate: (x: Float64Array, gradient: Float64Array) => number,
  { tolerance, maxIterations, diagonal, decrease = 0 }: MinimizeOptions,
): Minimum {
  const d = start.length;
  let x = start.slice();
  let gradient = new Float64Array(d);
  let value = evaluate(x, gradient);
  const values = [value];
  const steps: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  for (let iterations = 0; ; iterations++) {
    if (gradient.every((g) => Math.abs(g) <= tolerance)) return { x, iterations, converged: true };
    if (iterations === maxIterations) return { x, iterations, converged: false };
    const direction = descent(gradient, steps, diagonal);
    const slope = dot(gradient, direction);
    const next = new Float64Array(d);
    const nextGradient = new Float64Array(d);
    let nextValue = Number.NaN;
    // Rounding noise of the value: near the minimum no decrease can be seen any more, only the slope.
    const noise = 1e-14 * Math.abs(value);
    for (let step = 1; step > 1e-12; step /= 2) {
      for (let i = 0; i < d; i++) next[i] = x[i]! + step * direction[i]!;
      nextValue = evaluate(next, nextGradient);
      if (nextValue <= value + 1e-4 * step * slope + noise) break;
      nextValue = Number.NaN;
    }
    if (Number.isNaN(nextValue)) return { x, iterations, converged: false };
    const s = next.map((v, i) => v - x[i]!);
    const y = nextGradient.map((v, i) => v - gradient[i]!);
    const curvature = dot(s, y);
    // Without curvature (by rounding) the step says nothing of the Hessian.
    if (curvature > 1e-14 * Math.sqrt(dot(s, s) * dot(y, y))) steps.push({ s, y, rho: 1 / curvature });
    if (steps.length > MEMORY) steps.shift();
    [x, gradient, value] = [next, nextGradient, nextValue];
    const before = values.length < 10 ? Number.POSITIVE_INFINITY : values[values.length - 10]!;
    values.push(value);
    if (before - value < decrease * Math.abs(value))
      return { x, iterations: iterations + 1, converged: true };
  }
}

/** −H·gradient by the two-loop recursion. */
function descent(
  gradient: Float64Array,
  steps: readonly { s: Float64Array; y: Float64Array; rho: number }[],
  diagonal: Float64Array,
): Float64Array {
  const q = gradient.map((g) => -g);
  const alphas: number[] = [];
  for (const { s, y, rho } of steps.toReversed()) {
    const alpha = rho * dot(s, q);
    alphas.push(alpha);
    for (let i = 0; i < q.length; i++) q[i] = q[i]! - alpha * y[i]!;
  }
  // The diagonal, scaled to the curvature of the last step.
  const last = steps.at(-1);
  const scale =
    last === undefined ? 1 : 1 / (last.rho * last.y.reduce((sum, v, i) => sum + (v * v) / diagonal[i]!, 0));
  for (let i = 0; i < q.length; i++) q[i] = (scale * q[i]!) / diagonal[i]!;
  for (const { s, y, rho } of steps) {
    const beta = rho * dot(y, q);
    const alpha = alphas.pop()!;
    for (let i = 0; i < q.length; i++) q[i] = q[i]! + (alpha - beta) * s[i]!;
  }
  return q;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
