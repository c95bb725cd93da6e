/**
 * The atlas's classes in RadImageNet's manner (Mei et al., Radiology: AI 2022: 165 classes, modality → anatomy →
 * pathology): eleven regions of three modalities, each with a normal class and seven pairs of pathologies. RadImageNet's
 * own names and numbers are others; what is alike is the tree, the long tail, and classes that are nearly the same.
 */
export type Modality = 'CT' | 'MR' | 'US';

export interface Region {
  readonly modality: Modality;
  readonly anatomy: string;
}

/** From the most frequent to the rarest. */
export const REGIONS: readonly Region[] = [
  { modality: 'MR', anatomy: 'knee' },
  { modality: 'CT', anatomy: 'abdomen' },
  { modality: 'MR', anatomy: 'spine' },
  { modality: 'US', anatomy: 'abdomen' },
  { modality: 'MR', anatomy: 'shoulder' },
  { modality: 'MR', anatomy: 'ankle' },
  { modality: 'CT', anatomy: 'chest' },
  { modality: 'MR', anatomy: 'brain' },
  { modality: 'US', anatomy: 'thyroid' },
  { modality: 'MR', anatomy: 'hip' },
  { modality: 'MR', anatomy: 'abdomen' },
];

/** Two pathologies that differ in one number t alone: the first at t = 0, the second at t = 1. */
export interface Pair {
  readonly first: string;
  readonly second: string;
  /** What t moves in the picture. */
  readonly differsBy: string;
}

export const PAIRS: readonly Pair[] = [
  { first: 'nodule', second: 'mass', differsBy: 'size' },
  { first: 'simple_cyst', second: 'septated_cyst', differsBy: 'the wall inside' },
  { first: 'effusion', second: 'haemorrhage', differsBy: 'brightness of the fluid' },
  { first: 'oedema', second: 'inflammation', differsBy: 'sharpness of its edge' },
  { first: 'calcification', second: 'stone', differsBy: 'size of the bright spot' },
  { first: 'partial_tear', second: 'tear', differsBy: 'length of the dark line' },
  { first: 'thinning', second: 'atrophy', differsBy: 'how much of the organ is left' },
];

/** K = 165 names: modality, anatomy, pathology. Region g has its normal class at 15·g; pair j of it is at 15·g + 1 + 2·j and the next. */
export const ATLAS_CLASSES: readonly string[] = REGIONS.flatMap(({ modality, anatomy }) =>
  ['normal', ...PAIRS.flatMap(({ first, second }) => [first, second])].map(
    (name) => `${modality}_${anatomy}_${name}`,
  ),
);

const PER_REGION = 1 + 2 * PAIRS.length;
/** Of a region's images so many show nothing. */
const NORMAL_SHARE = 0.35;
/** A region's frequency falls with its rank to this power; of its pairs each is so much rarer than the one before. */
const REGION_POWER = 0.5;
const PAIR_RATIO = 0.75;

/** What an image is of: a region, and one of its pairs, or nothing. */
export interface Subject {
  readonly region: number;
  /** j of `PAIRS`, or −1 where the picture is normal. */
  readonly pair: number;
}

/** Subjects with their shares of all images; they sum to 1. Which pair is the rarest differs from region to region. */
export const SUBJECTS: readonly (Subject & { readonly share: number })[] = (() => {
  const regions = normalized(REGIONS.map((_, g) => (g + 1) ** -REGION_POWER));
  const ranks = normalized(PAIRS.map((_, rank) => PAIR_RATIO ** rank));
  return regions.flatMap((region, g) => [
    { region: g, pair: -1, share: region * NORMAL_SHARE },
    ...PAIRS.map((_, j) => {
      const rank = (3 * j + 2 * g) % PAIRS.length;
      return { region: g, pair: j, share: region * (1 - NORMAL_SHARE) * ranks[rank]! };
    }),
  ]);
})();

/** The class of a subject's first pathology, or of its region's normal pictures. */
export function classOf({ region, pair }: Subject): number {
  return PER_REGION * region + (pair < 0 ? 0 : 1 + 2 * pair);
}

function normalized(weights: readonly number[]): number[] {
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}
