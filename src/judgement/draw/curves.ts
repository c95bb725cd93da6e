import { type Drawing, extent } from '../../page/svg.ts';
import { isNumber, type Line, linePanel, type Point } from './lines.ts';
import { dashOf } from './marker.ts';

export interface Curve {
  /** Which method: its colour and dash. */
  readonly method: number;
  /** Each run's (epoch, value); `null` where there is none. */
  readonly runs: readonly (readonly Point[])[];
}

export interface CurveOptions {
  /** Grey dashed: what the others are seen against. Default none. */
  readonly reference?: Curve['runs'];
  /** The scale; default that of the curves. */
  readonly domain?: readonly [number, number];
  readonly width?: number;
}

/** Curves over epochs, from the first to `lastEpoch`: each run thin, the mean over runs bold where all runs have a value. */
export function curvePanel(
  title: string,
  curves: readonly Curve[],
  lastEpoch: number,
  { reference, domain = curveDomain(curves), width }: CurveOptions = {},
): Drawing {
  const lines = curves.flatMap(({ method, runs }): Line[] => [
    ...(runs.length > 1 ? runs.map((points): Line => ({ points, kind: 'run', series: method })) : []),
    {
      points: meanCurve(runs),
      kind: 'mean',
      series: method,
      // A reference is dashed itself.
      dash: reference === undefined ? dashOf(method) : undefined,
    },
  ]);
  return linePanel({
    label: `${title} over epochs`,
    lines: [...(reference ? [{ points: meanCurve(reference), kind: 'reference' as const }] : []), ...lines],
    x: { name: 'epoch', domain: [Math.min(1, lastEpoch), lastEpoch], whole: true },
    y: { domain },
    ...(width !== undefined && { width }),
  });
}

/** A scale for all these curves. Shares and losses are never negative: an axis that says so would mislead. */
export function curveDomain(curves: readonly Curve[]): [number, number] {
  const known = curves.flatMap((c) =>
    c.runs.flatMap((run) => run.flatMap(([, v]) => (isNumber(v) ? [v] : []))),
  );
  const [low, high] = extent(known);
  return [known.every((v) => v >= 0) ? Math.max(0, low) : low, high];
}

/** The mean over runs at each epoch that all of them have a value for. */
export function meanCurve(runs: Curve['runs']): [number, number | null][] {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const run of runs) {
    for (const [epoch, value] of run) {
      const entry = sums.get(epoch) ?? { sum: 0, count: 0 };
      if (isNumber(value)) {
        entry.sum += value;
        entry.count++;
      }
      sums.set(epoch, entry);
    }
  }
  return [...sums]
    .sort(([a], [b]) => a - b)
    .map(([epoch, { sum, count }]) => [epoch, count === runs.length ? sum / count : null]);
}
