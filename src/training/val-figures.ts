import { binaryAuroc, calibrationError, ece, NLL_FLOOR, nll, reliability, top1 } from '../metrics/index.ts';
import type { NetworkOutput } from './predict.ts';

/** What an epoch shows of the validation split: rates as fractions, NLL in nats. */
export interface ValFigures {
  /** Of findings: the mean over all known values. */
  readonly nll: number;
  /** One label of K. */
  readonly top1?: number;
  /** Findings: the mean over those that are known present and known absent; left out where there is none. */
  readonly auroc?: number;
  /** Plug-in, 15 bins; of findings the mean over those with a known value. */
  readonly ece: number;
}

export function valFigures(output: NetworkOutput): ValFigures {
  const { targets } = output;
  if (targets.kind === 'one-of-k') return { nll: nll(output), top1: top1(output), ece: ece(output) };
  const columns = targets.names.map((_, k) => knownColumn(output, k)).filter(({ p }) => p.length > 0);
  const areas = columns
    .map(({ p, y }) =>
      binaryAuroc(
        p,
        y.map((value) => Number(value > 0.5)),
      ),
    )
    .filter((area) => area !== null);
  const losses = columns.map(({ p, y }) => p.reduce((sum, q, i) => sum + crossEntropy(q, y[i]!), 0));
  const count = columns.reduce((sum, { p }) => sum + p.length, 0);
  return {
    nll: losses.reduce((a, b) => a + b, 0) / count,
    ...(areas.length > 0 && { auroc: mean(areas) }),
    ece: mean(columns.map(({ p, y }) => calibrationError(reliability(p, y)))),
  };
}

/** Probabilities and truths of one finding where it is known. */
function knownColumn(output: NetworkOutput, k: number): { p: Float32Array; y: Float32Array } {
  const { probabilities, classes, targets } = output;
  const { values } = targets;
  const mask = targets.kind === 'findings' ? targets.mask : undefined;
  const [p, y] = [new Float32Array(values.length / classes), new Float32Array(values.length / classes)];
  let count = 0;
  for (let at = k; at < values.length; at += classes) {
    if (mask !== undefined && mask[at] !== 1) continue;
    p[count] = probabilities[at]!;
    y[count++] = values[at]!;
  }
  return { p: p.subarray(0, count), y: y.subarray(0, count) };
}

function crossEntropy(p: number, y: number): number {
  return -y * Math.log(Math.max(p, NLL_FLOOR)) - (1 - y) * Math.log(Math.max(1 - p, NLL_FLOOR));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
