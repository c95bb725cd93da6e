import { z } from 'zod';
import { certify } from '../../calibration/index.ts';
import { meanStatistic, measureStatistics, type Statistic } from '../../figures/index.ts';
import type { Estimate } from '../../metrics/index.ts';
import type { Panel } from '../draw/figure.ts';
import { type Line, linePanel } from '../draw/lines.ts';
import { formatCount, plural } from '../format.ts';
import { append } from '../measure.ts';
import type { Part } from '../part.ts';
import { type Measured, shownAs, valueLine } from '../shown.ts';
import { plain } from '../tables/table.ts';
import { cellOf, columnOf, methodTable, tableNotes, type View } from '../view.ts';

/** Certified lower bounds of the confidence in the predicted class under ℓ2 perturbations. */
export interface CertificateResults {
  readonly images: number;
  readonly samples: number;
  readonly sigma: number;
  readonly delta: number;
  readonly radii: readonly number[];
  /**
   * `confidence` of the smoothed network without perturbation; `bound0`, `bound1` …: mean certified confidence at each
   * radius; `error0` …: mean cost of finite sampling there, what the bound would gain if the draws were the whole
   * distribution.
   */
  readonly methods: readonly Measured[];
}

interface CertificateSettings {
  readonly images: number;
  readonly samples: number;
  readonly sigma: number;
  readonly delta: number;
  readonly radii: readonly number[];
}

/** More of it is not better in itself, and its differences are not judged. */
const CONFIDENCE = shownAs(
  'confidence',
  'Unperturbed',
  ['%', 1, 'zero'],
  'Mean confidence of the smoothed network without perturbation.',
);

/**
 * Certified confidence of every method by randomized smoothing, means over images: the distribution-function bound
 * (Kumar et al. 2020), which is named before anything is looked at.
 */
export const certificatesPart: Part<CertificateResults, CertificateSettings> = {
  name: 'certificates',
  title: 'Certificates',
  kinds: ['one-of-k'],
  settings: z
    .union([
      z.literal(false),
      z.strictObject({
        images: z.int().min(1).default(200).describe('Images of the judged split that are certified.'),
        samples: z.int().min(100).default(1000).describe('Noisy copies of each image.'),
        sigma: z
          .number()
          .positive()
          .default(0.25)
          .describe('Standard deviation of the noise, on network inputs.'),
        delta: z
          .number()
          .gt(0)
          .max(0.5)
          .default(0.001)
          .describe('Chance that an image’s certificate is wrong because of sampling.'),
        radii: z
          .array(z.number().min(0))
          .min(1)
          .default([0, 0.1, 0.25, 0.5])
          .describe('ℓ2 radii, on network inputs.'),
      }),
    ])
    .default(false)
    .describe('Certified confidence by randomized smoothing: images × samples forward passes for each run.')
    .meta({ examples: [{ images: 100, samples: 1000, sigma: 0.25 }, false] }),
  async measure({ judged, settings, options, signal, tell }) {
    const { samples, sigma, delta, radii } = settings;
    const measured = new Map<string, Record<string, Statistic>[]>();
    let rows: Int32Array = new Int32Array(0);
    for (const { id, runs } of judged.methods)
      for (const run of runs) {
        if (run.network?.noisy === undefined)
          return { absent: 'certificates need the network itself', quiet: true };
        tell(`certificates of ${id}, ${run.name}`);
        const { confidences, indices } = await run.network.noisy({
          images: settings.images,
          samples,
          sigma,
          signal,
        });
        rows = indices;
        const { bounds, estimate } = certify(confidences, samples, { sigma, delta, radii });
        const column = (values: Float64Array, r: number) =>
          Float64Array.from(indices, (_, i) => values[i * radii.length + r]!);
        const own: Record<string, Statistic> = {
          confidence: meanStatistic(rowMeans(confidences, samples), undefined, 'share'),
        };
        radii.forEach((_, r) => {
          const bound = column(bounds.cdf, r);
          own[`bound${r}`] = meanStatistic(bound, undefined, 'share');
          own[`error${r}`] = meanStatistic(column(estimate, r).map((value, i) => value - bound[i]!));
        });
        append(measured, id, own);
      }
    const { groups: _, ...rest } = options;
    const own = judged.groups && Int32Array.from(rows, (row) => judged.groups![row]!);
    return {
      images: rows.length,
      samples,
      sigma,
      delta,
      radii,
      methods: measureStatistics(
        measured,
        rows.length,
        { ...rest, ...(own && { groups: own }) },
        judged.baseline,
      ),
    };
  },
  show: (results, view) => ({
    blocks: [{ figure: radiusFigure(view, results) }, { table: certificateTable(view, results) }],
  }),
};

function rowMeans(values: Float32Array, width: number): Float64Array {
  return Float64Array.from({ length: values.length / width }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += values[i * width + j]!;
    return sum / width;
  });
}

function boundOf({ figures }: Measured, r: number): Estimate {
  return figures[`bound${r}`]!;
}

function radiusFigure(view: View, { images, samples, sigma, delta, radii, methods }: CertificateResults) {
  const size = view.size(methods.length);
  const points = (one: Measured) =>
    radii.map((radius, r) => {
      const { value } = boundOf(one, r);
      return [radius, value === null ? null : 100 * value] as const;
    });
  const baseline = methods.find(({ method }) => method === view.judgement.baseline);
  const far = Math.max(...radii, Number.MIN_VALUE);
  return {
    file: 'certificates',
    title: view.title('Certified confidence'),
    note: `Randomized smoothing with σ = ${sigma}, ${formatCount(samples)} samples for each of ${plural(images, 'image')}: no perturbation within an ℓ2 radius takes the smoothed network’s confidence in an image’s predicted class below its certificate, for each image with probability ${Number((1 - delta).toPrecision(6))}; the curve is the mean of these certificates. High is not good in itself: an over-confident network certifies more. ${view.intervalNote} ${view.baseline} is dashed.`,
    columns: size.columns,
    panels: methods.map((one): Panel => {
      const own: Line = {
        points: points(one),
        kind: 'mean',
        series: view.series(one.method),
        intervals: radii.flatMap((radius, r) => {
          const { low, high } = boundOf(one, r);
          return low === null || high === null ? [] : [[radius, 100 * low, 100 * high] as const];
        }),
      };
      const reference: Line[] =
        baseline === undefined || baseline === one ? [] : [{ points: points(baseline), kind: 'reference' }];
      return {
        head: view.name(one.method),
        series: view.series(one.method),
        lines: [valueLine(CONFIDENCE, one.figures.confidence!)],
        drawing: linePanel({
          label: `Certified confidence of ${view.name(one.method)} against the radius`,
          lines: [...reference, own],
          x: { name: 'radius (ℓ2)', domain: [0, far] },
          y: { name: 'certified confidence (%)', domain: [0, 100] },
          width: size.width,
        }),
      };
    }),
  };
}

function certificateTable(view: View, { images, samples, sigma, delta, radii, methods }: CertificateResults) {
  return methodTable(
    view,
    {
      id: 'certificates',
      title: view.title('certified confidence'),
      caption: `Randomized smoothing with noise of σ = ${sigma} on ${plural(images, 'image')}, ${plural(samples, 'noisy copy', 'noisy copies')} of each: mean confidence that is certified within each ℓ2 radius, false for an image with probability ${delta} at most. Sampling: what the bound would gain if the draws were the whole distribution.`,
      notes: tableNotes(view),
    },
    [
      columnOf(CONFIDENCE, { better: 'none' }),
      ...radii.map((radius) =>
        columnOf(CONFIDENCE, {
          id: `radius_${radius}`,
          label: `radius ${radius}`,
          group: 'Certified',
          better: 'none',
        }),
      ),
      ...radii.map((radius) =>
        columnOf(CONFIDENCE, {
          id: `sampling_${radius}`,
          label: `radius ${radius}`,
          group: 'Sampling costs',
          better: 'none',
        }),
      ),
    ],
    methods.map((one) => ({
      method: one.method,
      cells: [
        cellOf(one, 'confidence'),
        ...radii.map((_, r) => cellOf(one, `bound${r}`)),
        ...radii.map((_, r) => plain(one.figures[`error${r}`]!.value)),
      ],
    })),
  );
}
