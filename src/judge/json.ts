import { figuresJson, type Summary } from '../figures/index.ts';
import type { JudgeResult } from './judge.ts';

/**
 * `figures.json`: the keys of `evaluate --json`. Figures of the first method stand at the top level, those of each in
 * `methods`, and with several methods `differences` holds each pair's.
 */
export function judgeJson(result: JudgeResult): Record<string, unknown> {
  const [first] = result.methods;
  return {
    version: 1,
    kind: result.kind,
    classNames: result.names,
    files: result.methods.flatMap(({ name, files, scale }) =>
      files.map((file) => ({ method: name, file, scale })),
    ),
    ...(result.fit.length > 0 && { fit: result.fit }),
    ...summaryJson(first!.summary),
    ...(first!.thresholds && { thresholds: first!.thresholds }),
    ...(result.methods.length > 1 && {
      methods: result.methods.map(({ name, summary, thresholds }) => ({
        name,
        ...summaryJson(summary),
        ...(thresholds && { thresholds }),
      })),
      differences: result.differences.map(({ first: a, second: b, figures }) => ({
        first: a,
        second: b,
        ...figuresJson(figures),
      })),
    }),
    ...(result.strata && {
      strata: {
        column: result.strata.column,
        values: result.strata.values.map(({ value, samples, methods }) => ({
          value,
          samples,
          methods: methods.map(({ name, figures }) => ({ name, ...figuresJson(figures) })),
        })),
      },
    }),
    notes: result.notes,
  };
}

/** A summary with its figures at the top level, as in every `figures.json`. */
export function summaryJson({ figures, truthBins, ...rest }: Summary): Record<string, unknown> {
  const json = figuresJson(figures) as Record<string, unknown>;
  const truth = json.truth as Record<string, unknown> | undefined;
  return { ...rest, ...json, ...(truth && { truth: { ...truth, bins: truthBins } }) };
}
