/**
 * What a region looks like, as data: soft shapes that add up, and strokes (bone edges, tendons) that lie over them. The
 * picture spans [−1, 1] both ways, y down; densities are from 0, air or no signal, to about 1.
 */
export interface Blob {
  readonly x: number;
  readonly y: number;
  readonly rx: number;
  readonly ry: number;
  readonly density: number;
  /** 0 a bell, 1 a ball with a sharp rim. */
  readonly edge: number;
}

export interface Line {
  readonly points: readonly number[];
  readonly half: number;
  readonly density: number;
  /** 0 solid, 1 a tube. */
  readonly rim?: number;
}

export interface Anatomy {
  /** What lies around; drawn first. */
  readonly blobs: readonly Blob[];
  readonly lines: readonly Line[];
  /** What wastes away. */
  readonly organ: Blob;
  /** What tears: a straight band, from one end to the other. */
  readonly band: Line;
  /** x0, y0, x1, y1, …: where lesions sit, within the organ. */
  readonly sites: readonly number[];
  /** Where fluid collects. */
  readonly pool: readonly [x: number, y: number];
}

const blob = (x: number, y: number, rx: number, ry: number, density: number, edge = 0.8): Blob => ({
  x,
  y,
  rx,
  ry,
  density,
  edge,
});
const line = (points: readonly number[], half: number, density: number, rim = 0): Line => ({
  points,
  half,
  density,
  rim,
});

/** Points of an arc of an ellipse, from one angle to another, in radians (0 right, π/2 down). */
function arc(x: number, y: number, rx: number, ry: number, from: number, to: number): number[] {
  return Array.from({ length: 25 }, (_, i) => {
    const angle = from + ((to - from) * i) / 24;
    return [x + rx * Math.cos(angle), y + ry * Math.sin(angle)];
  }).flat();
}
const ring = (x: number, y: number, rx: number, ry: number) => arc(x, y, rx, ry, 0, 2 * Math.PI);

/** Slices of a trunk: CT and MR see the same organs. */
const abdomen: Anatomy = {
  blobs: [
    blob(0, 0, 0.95, 0.76, 0.34, 1),
    blob(0.62, -0.08, 0.2, 0.28, 0.2),
    blob(-0.36, 0.3, 0.15, 0.19, 0.24),
    blob(0.36, 0.3, 0.15, 0.19, 0.24),
    blob(0.1, -0.35, 0.26, 0.16, 0.1),
    blob(0, 0.5, 0.15, 0.15, 0.5, 1),
  ],
  lines: [line(ring(0, 0, 0.92, 0.72), 0.03, 0.5)],
  organ: blob(-0.42, -0.14, 0.44, 0.4, 0.26, 1),
  band: line([-0.1, 0.12, 0.45, 0.02], 0.05, 0.62),
  sites: [-0.5, -0.2, -0.32, 0.02, -0.55, 0.08, -0.3, -0.28],
  pool: [0.1, 0.56],
};

/** By `modality anatomy`. */
export const ANATOMIES: Readonly<Record<string, Anatomy>> = {
  'CT abdomen': abdomen,
  'MR abdomen': abdomen,
  'CT chest': {
    blobs: [
      blob(0, 0, 0.95, 0.78, 0.55, 1),
      blob(-0.47, -0.04, 0.33, 0.54, -0.42, 1),
      blob(0.02, 0.55, 0.14, 0.14, 0.4, 1),
      blob(0.14, 0.12, 0.24, 0.26, 0.16),
    ],
    lines: [line(ring(0, 0, 0.92, 0.74), 0.03, 0.75), line([0, -0.7, 0, -0.4], 0.04, 0.8)],
    organ: blob(0.5, -0.04, 0.34, 0.52, -0.42, 1),
    band: line([-0.15, -0.42, 0.22, -0.2], 0.06, 0.75),
    sites: [0.5, -0.2, 0.55, 0.1, 0.42, 0.25, 0.48, -0.35],
    pool: [0.52, 0.42],
  },
  'MR brain': {
    blobs: [
      blob(0, 0, 0.78, 0.92, 0.55, 1),
      blob(-0.14, -0.05, 0.09, 0.26, -0.3, 1),
      blob(0.14, -0.05, 0.09, 0.26, -0.3, 1),
      blob(0, 0.62, 0.34, 0.16, 0.1),
    ],
    lines: [line(ring(0, 0, 0.84, 0.97), 0.03, 0.85), line([0, -0.9, 0, -0.35], 0.015, 0.05)],
    organ: blob(0, -0.1, 0.58, 0.66, 0.18, 0.6),
    band: line([-0.35, 0.2, 0.35, 0.2], 0.045, 0.8),
    sites: [-0.4, -0.3, 0.42, -0.25, -0.42, 0.15, 0.38, 0.32],
    pool: [0.5, 0.5],
  },
  'MR spine': {
    blobs: [
      blob(-0.05, 0, 0.75, 1.1, 0.22, 0.6),
      ...[-0.83, -0.5, 0.17, 0.5, 0.83].map((y) => blob(-0.16, y, 0.24, 0.14, 0.42, 1)),
    ],
    lines: [line([0.24, -1, 0.2, 0, 0.26, 1], 0.07, 0.8, 0.2)],
    organ: blob(-0.16, -0.165, 0.24, 0.15, 0.45, 1),
    band: line([0.08, -0.6, 0.06, 0.6], 0.035, 0.72),
    sites: [-0.18, -0.5, -0.14, -0.17, -0.18, 0.17, -0.15, 0.5],
    pool: [0.48, 0.1],
  },
  'MR shoulder': {
    blobs: [
      blob(0.05, 0.05, 0.9, 0.85, 0.25, 0.5),
      blob(-0.5, 0.12, 0.18, 0.42, 0.35, 1),
      blob(0.6, 0.4, 0.22, 0.5, 0.12),
    ],
    lines: [line(arc(0.12, 0.02, 0.62, 0.58, Math.PI * 1.1, Math.PI * 1.75), 0.05, 0.7)],
    organ: blob(0.12, 0.06, 0.4, 0.4, 0.45, 1),
    band: line([-0.3, -0.44, 0.42, -0.38], 0.06, 0.75),
    sites: [0.05, -0.02, 0.22, 0.1, 0.02, 0.2, 0.2, -0.14],
    pool: [0.1, 0.62],
  },
  'MR knee': {
    blobs: [
      blob(0, 0, 0.85, 1.1, 0.2, 0.5),
      blob(0.02, 0.66, 0.52, 0.46, 0.42, 1),
      blob(-0.72, -0.2, 0.12, 0.26, 0.4, 1),
    ],
    lines: [line(arc(0.02, -0.6, 0.56, 0.56, 0.35, Math.PI - 0.35), 0.03, 0.8)],
    organ: blob(0.02, -0.58, 0.5, 0.5, 0.44, 1),
    band: line([-0.22, -0.08, 0.3, 0.28], 0.05, 0.78),
    sites: [-0.12, -0.5, 0.2, -0.6, 0.05, -0.75, 0.14, -0.38],
    pool: [-0.45, 0.02],
  },
  'MR ankle': {
    blobs: [
      blob(0.05, 0.05, 0.9, 1.05, 0.2, 0.5),
      blob(-0.12, -0.68, 0.3, 0.42, 0.4, 1),
      blob(0.02, -0.08, 0.38, 0.2, 0.38, 1),
    ],
    lines: [line([-0.6, 0.5, -0.2, 0.78, 0.5, 0.8], 0.035, 0.7)],
    organ: blob(0.2, 0.42, 0.48, 0.28, 0.42, 1),
    band: line([0.58, -0.85, 0.66, 0.25], 0.05, 0.78),
    sites: [0.1, 0.4, 0.32, 0.46, 0.0, 0.5, 0.3, 0.32],
    pool: [-0.4, 0.12],
  },
  'MR hip': {
    blobs: [
      blob(0, 0.1, 0.92, 0.95, 0.24, 0.5),
      blob(-0.55, -0.4, 0.34, 0.4, 0.3, 1),
      blob(0.55, 0.6, 0.22, 0.5, 0.36, 1),
    ],
    lines: [
      line([0.12, 0.08, 0.56, 0.4], 0.14, 0.66),
      line(arc(-0.02, -0.08, 0.46, 0.46, Math.PI * 0.75, Math.PI * 1.8), 0.03, 0.8),
    ],
    organ: blob(0, -0.06, 0.36, 0.36, 0.46, 1),
    band: line([-0.4, 0.42, 0.16, 0.66], 0.055, 0.72),
    sites: [-0.08, -0.1, 0.1, -0.14, 0.02, 0.08, 0.12, 0.02],
    pool: [-0.15, 0.34],
  },
  'US abdomen': {
    blobs: [blob(0, 0.05, 1.2, 1.1, 0.38, 0.4), blob(0.42, 0.12, 0.17, 0.24, -0.3, 1)],
    lines: [line(arc(0, -0.5, 1, 1.25, 0.5, Math.PI - 0.5), 0.03, 0.95)],
    organ: blob(-0.22, 0.05, 0.5, 0.46, 0.18, 1),
    band: line([-0.5, -0.42, 0.35, -0.5], 0.04, 0.85),
    sites: [-0.35, 0.0, -0.1, 0.12, -0.3, 0.25, -0.12, -0.12],
    pool: [0.1, 0.58],
  },
  'US thyroid': {
    blobs: [
      blob(0, 0, 1.2, 1, 0.24, 0.4),
      blob(0.42, 0.02, 0.24, 0.36, 0.24, 1),
      blob(-0.8, 0.02, 0.12, 0.15, -0.2, 1),
      blob(0.8, 0.02, 0.12, 0.15, -0.2, 1),
    ],
    lines: [line(arc(0, 0.06, 0.16, 0.22, Math.PI, 2 * Math.PI), 0.03, 0.95)],
    organ: blob(-0.4, 0.02, 0.26, 0.38, 0.26, 1),
    band: line([-0.6, -0.5, 0.6, -0.5], 0.05, 0.7),
    sites: [-0.42, -0.1, -0.38, 0.12, -0.46, 0.04, -0.36, 0.0],
    pool: [-0.15, 0.56],
  },
};
