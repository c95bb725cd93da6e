import { meanStatistic, measureStatistics, type TestedDifference } from '../figures/index.ts';
import type { Estimate } from '../metrics/index.ts';
import { type Grid, resizedMap } from './picture.ts';

/** How a map agrees with the mask of what is there. */
export interface MapAgreement {
  /** Pointing game (Zhang et al., ECCV 2016; without tolerance): 1 where the greatest value lies in the mask, else 0. */
  readonly hit: number;
  /** Share of the map's sum that lies in the mask (energy-based pointing game: Wang et al., CVPR workshops 2020). */
  readonly energy: number;
  /** The mask's share of the image: what hit and energy are by chance. */
  readonly area: number;
}

/**
 * How a map agrees with a mask of the same size. A map of zeros points nowhere: no hit, and an energy of 0.
 * @param map height×width, none negative @param mask height×width of 0 and 1
 */
export function agreement(map: Float32Array, mask: Uint8Array): MapAgreement {
  let [best, inside, all, area] = [0, 0, 0, 0];
  for (let i = 0; i < map.length; i++) {
    const value = map[i]!;
    if (value > map[best]!) best = i;
    all += value;
    if (mask[i] !== 1) continue;
    inside += value;
    area++;
  }
  return {
    hit: all > 0 && mask[best] === 1 ? 1 : 0,
    energy: all > 0 ? inside / all : 0,
    area: area / mask.length,
  };
}

/** The same of a map and a mask of any sizes: both in the finer one, the map bilinear, the mask by its nearest place. */
export function agreementOf(map: Grid, mask: Grid<Uint8Array>): MapAgreement {
  const [height, width] = [Math.max(map.height, mask.height), Math.max(map.width, mask.width)];
  if (height === mask.height && width === mask.width)
    return agreement(resizedMap(map, height, width), mask.values);
  const values = Uint8Array.from({ length: height * width }, (_, at) => {
    const y = Math.floor((Math.floor(at / width) * mask.height) / height);
    const x = Math.floor(((at % width) * mask.width) / width);
    return mask.values[y * mask.width + x]!;
  });
  return agreement(resizedMap(map, height, width), values);
}

/** Means of agreements with 95 % intervals, and the difference from the first column. */
export interface Score {
  readonly hits: Estimate;
  readonly energy: Estimate;
  /** Null for the first column itself. */
  readonly versus: { readonly hits: TestedDifference; readonly energy: TestedDifference } | null;
}

/** Columns of maps of the same images, scored. */
export interface Scores {
  readonly maps: number;
  /** Patients; images where patients are not known. */
  readonly units: number;
  /** Mean of the masks' shares of the images: hits and energy by chance. */
  readonly area: number;
  readonly columns: readonly Score[];
}

/**
 * Scores columns (networks, methods) on the same maps. Intervals and paired tests are over patients by the rules of all
 * figures here, Wilson's for shares where every map is of another patient (`docs/figure-coverage.md`), and p-values are
 * Holm-corrected over the columns.
 * @param columns by column, the agreement of each map @param units the patient of each map
 */
export function scoreColumns(
  columns: readonly (readonly MapAgreement[])[],
  units: ArrayLike<number>,
): Scores {
  const statistic = (own: readonly MapAgreement[], of: 'hit' | 'energy') =>
    meanStatistic(
      Float64Array.from(own, (one) => one[of]),
      undefined,
      'share',
    );
  const runs = columns.map(
    (own, c) => [String(c), [{ hits: statistic(own, 'hit'), energy: statistic(own, 'energy') }]] as const,
  );
  const [first = []] = columns;
  const measured = measureStatistics(new Map(runs), first.length, { groups: units }, '0');
  return {
    maps: first.length,
    units: new Set(Array.from(units)).size,
    area: first.reduce((sum, { area }) => sum + area, 0) / first.length,
    columns: measured.map(({ figures, versus }) => ({ ...figures, versus }) as unknown as Score),
  };
}
