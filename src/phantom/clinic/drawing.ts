import type { Random } from '../../random.ts';
import { type Canvas, smooth } from '../canvas.ts';
import {
  type Chest,
  cageAt,
  diaphragmAt,
  drawHeart,
  drawVessels,
  type Fields,
  mediastinumAt,
  ribPath,
} from './anatomy.ts';
import { latentIndex } from './findings.ts';
import type { Place } from './places.ts';

/** What a finding's look needs to know. */
interface Scene {
  readonly chest: Chest;
  readonly canvas: Canvas;
  readonly fields: Fields;
  readonly place: Place;
  /** How much there is of it: 0 none, 1 plain, 2 and above massive. */
  readonly amount: number;
  /** x of the picture's evidence, for looks that grade smoothly. */
  readonly evidence: number;
  readonly random: Random;
}

/** Adds to `fields.layer` what the finding adds to the density of each pixel. */
type Look = (scene: Scene) => void;

/**
 * From the picture's evidence to how much is drawn: smooth and rising, close to nothing for most of those who have
 * nothing, 1 at the average of those who have the finding.
 */
export function amountOf(evidence: number, detectability: number): number {
  const knee = 0.5 * detectability;
  const soft = (t: number) => Math.log1p(Math.exp(Math.min(40, 3 * t))) / 3;
  return soft(evidence - knee) / soft(detectability - knee);
}

/** Heart over chest for the evidence of Cardiomegaly: 0.43 without any, 0.52 at the average of those who have it. */
export function heartRatio(evidence: number): number {
  return Math.max(0.36, Math.min(0.68, 0.43 + 0.041 * evidence));
}

/** Sides to draw: −1 is the patient's right. */
function sides({ side }: Place): number[] {
  return side === 'both' ? [-1, 1] : [side === 'left' ? 1 : -1];
}

/** Where in the lung a zone is. */
function spot(chest: Chest, place: Place, side: number): { x: number; y: number } {
  const bottom = chest.dome - 0.05;
  const top = chest.top + 0.22;
  const y = top + (bottom - top) * ((place.zone + 0.2 + 0.6 * place.along) / 3);
  const inner = mediastinumAt(chest, y) + 0.12 + (side > 0 && place.zone === 2 ? 0.14 : 0);
  const outer = cageAt(chest, y) - 0.14;
  return { x: side * (inner + (outer - inner) * place.across), y };
}

/** Several puffs around a point, as ragged as the stream says, within the lungs. */
function patch(scene: Scene, x: number, y: number, reach: number, density: number, grains: number): void {
  const { canvas, fields, random } = scene;
  fields.scratch.fill(0);
  for (let i = 0; i < grains; i++) {
    const angle = 2 * Math.PI * random.uniform();
    const from = reach * 0.75 * Math.sqrt(random.uniform());
    const radius = reach * (0.35 + 0.45 * random.uniform());
    canvas.puff(
      fields.scratch,
      x + from * Math.cos(angle),
      y + 0.8 * from * Math.sin(angle),
      radius,
      radius * 0.85,
      1.6 / Math.sqrt(grains),
    );
  }
  for (let at = 0; at < fields.layer.length; at++) {
    if (fields.scratch[at] > 0)
      fields.layer[at] += density * (1 - Math.exp(-fields.scratch[at])) * fields.lung[at];
  }
}

const LOOKS: Readonly<Record<string, Look>> = {
  /** The upper middle grows wider on both sides. */
  'Enlarged Cardiomediastinum': ({ chest, fields, amount, canvas }) => {
    const { layer, lung, x, y } = fields;
    const edge = Math.max(0.02, canvas.pixel);
    const widening = 0.025 + 0.055 * Math.min(2.2, amount);
    for (let at = 0; at < layer.length; at++) {
      if (lung[at] === 0 || y[at] > 0.1) continue;
      const profile = smooth((y[at] - chest.top) / 0.2) * smooth((0.12 - y[at]) / 0.5);
      const depth = mediastinumAt(chest, y[at]) + widening * profile - Math.abs(x[at] - chest.rotation);
      layer[at] += 0.22 * Math.min(1, amount * 1.5) * smooth(depth / (2 * edge) + 0.3) * lung[at] * profile;
    }
  },

  /** What the heart is larger than at no evidence. */
  Cardiomegaly: ({ chest, fields, evidence, canvas }) => {
    const { density, layer } = fields;
    fields.scratch.set(density);
    density.fill(0);
    drawHeart(chest, fields, canvas.pixel, heartRatio(evidence), 1);
    drawHeart(chest, fields, canvas.pixel, heartRatio(0), -1);
    layer.set(density);
    density.set(fields.scratch);
  },

  /** One to four round shadows with sharp rims. */
  'Lung Lesion': (scene) => {
    const { chest, canvas, fields, place, amount, random } = scene;
    const [side] = sides(place);
    const count = place.form % 5 === 0 ? 4 : place.form % 5 === 1 ? 2 : 1;
    fields.scratch.fill(0);
    for (let i = 0; i < count; i++) {
      const at =
        i === 0
          ? spot(chest, place, side)
          : spot(
              chest,
              {
                ...place,
                zone: random.below(3) as 0 | 1 | 2,
                across: random.uniform(),
                along: random.uniform(),
              },
              i % 2 === 0 ? side : -side,
            );
      const radius = (0.035 + 0.05 * place.size) * (0.8 + 0.35 * Math.min(2, amount)) * (i === 0 ? 1 : 0.75);
      canvas.puff(
        fields.scratch,
        at.x,
        at.y,
        radius,
        radius * (0.9 + 0.2 * random.uniform()),
        0.23 * Math.min(1.4, amount),
        0.9,
      );
    }
    for (let at = 0; at < fields.layer.length; at++)
      fields.layer[at] += fields.scratch[at] * (0.2 + 0.8 * fields.lung[at]);
  },

  /** A faint haze without borders. */
  'Lung Opacity': (scene) => {
    for (const side of sides(scene.place)) {
      const { x, y } = spot(scene.chest, scene.place, side);
      patch(scene, x, y, 0.2 + 0.12 * scene.place.size, 0.17 * Math.min(1.9, scene.amount), 7);
    }
  },

  /** Haze around the hila, fuller vessels, and short lines at the sides below (Kerley B). */
  Edema: (scene) => {
    const { chest, canvas, fields, amount, random, place } = scene;
    const { layer, lung, x, y, scratch } = fields;
    scratch.fill(0);
    drawVessels(chest, canvas, scratch, random, 0.4);
    for (const side of [-1, 1]) {
      for (let i = 0; i < 5; i++) {
        const height = chest.dome - 0.02 - 0.055 * i;
        const wall = cageAt(chest, height) - 0.01;
        canvas.stroke(scratch, side * wall, height, side * (wall - 0.09), height - 0.012, 0.007, 0.16);
      }
    }
    const level = Math.min(2.2, amount);
    for (let at = 0; at < layer.length; at++) {
      if (lung[at] === 0) continue;
      const side = x[at] > 0 ? 'left' : 'right';
      const share = place.side === 'both' || place.side === side ? 1 : 0.55;
      const u = (Math.abs(x[at]) - 0.2) / 0.36;
      const v = (y[at] - 0.02) / 0.5;
      const wings = Math.exp(-u * u - v * v);
      layer[at] += share * level * lung[at] * (0.15 * wings + 0.02 + 0.2 * Math.min(0.2, scratch[at]));
    }
  },

  /** Dense, bounded, with branches of air in it. */
  Consolidation: (scene) => {
    const { chest, canvas, fields, place, amount } = scene;
    for (const side of sides(place)) {
      const { x, y } = spot(chest, place, side);
      patch(
        scene,
        x,
        y,
        0.17 + 0.09 * place.size,
        0.36 * Math.min(1.3, 0.35 + 0.65 * amount) * Math.min(1, amount),
        14,
      );
      fields.scratch.fill(0);
      for (const turn of [-0.5, 0, 0.45]) {
        const angle = Math.atan2(y + 0.05, x - side * 0.15) + turn;
        canvas.stroke(
          fields.scratch,
          x - 0.12 * Math.cos(angle),
          y - 0.12 * Math.sin(angle),
          x + 0.14 * Math.cos(angle),
          y + 0.14 * Math.sin(angle),
          0.011,
          1,
        );
      }
      for (let at = 0; at < fields.layer.length; at++) fields.layer[at] *= 1 - 0.45 * fields.scratch[at];
    }
  },

  /** Many small ill-defined patches that run together. */
  Pneumonia: (scene) => {
    const { chest, place, amount, random } = scene;
    for (const side of sides(place)) {
      const { x, y } = spot(chest, place, side);
      for (let i = 0; i < 5; i++) {
        const dx = 0.42 * (random.uniform() - 0.5);
        const dy = 0.5 * (random.uniform() - 0.5);
        patch(scene, x + dx, y + dy, 0.08 + 0.06 * random.uniform(), 0.14 * Math.min(1.7, amount), 4);
      }
    }
  },

  /** Bands above the diaphragm, like plates seen from the side. */
  Atelectasis: (scene) => {
    const { chest, canvas, fields, place, amount, random } = scene;
    for (const side of sides(place)) {
      const count = 1 + (place.form % 3);
      fields.scratch.fill(0);
      for (let i = 0; i < count; i++) {
        const y = chest.dome - 0.06 - 0.11 * i - 0.06 * place.along + 0.03 * random.uniform();
        const inner = side * (0.22 + (side > 0 ? 0.12 : 0) + 0.08 * random.uniform());
        const outer = side * (0.54 + 0.14 * place.across * random.uniform());
        const slope = 0.14 * (random.uniform() - 0.45);
        const half = (0.01 + 0.012 * place.size) * (0.7 + 0.6 * random.uniform());
        const bend = [inner, y + slope, (2 * inner + outer) / 3, y + slope * 0.5, outer, y - slope * 0.6];
        canvas.path(fields.scratch, bend, half, 0.12 * Math.min(1.7, amount));
      }
      canvas.puff(fields.scratch, side * 0.42, chest.dome + 0.02, 0.24, 0.11, 0.1 * Math.min(1.6, amount));
      for (let at = 0; at < fields.layer.length; at++)
        fields.layer[at] += fields.scratch[at] * fields.lung[at];
    }
  },

  /** Air between lung and wall: no vessels beyond a thin line, darker. */
  Pneumothorax: ({ chest, canvas, fields, place, amount }) => {
    const { layer, lung, markings, x, y, wall } = fields;
    const [side] = sides(place);
    const gap = 0.035 + 0.075 * Math.min(2.6, amount);
    const seen = Math.min(1, amount * 1.3);
    const line = Math.max(0.011, 0.7 * canvas.pixel);
    for (let at = 0; at < layer.length; at++) {
      if (lung[at] === 0 || x[at] * side <= 0) continue;
      // Air rises: the gap is widest at the apex and closes towards the base.
      const width = gap * (1.15 - 0.75 * smooth((y[at] - chest.top) / 1.1));
      const ax = Math.abs(x[at]);
      const apex = y[at] - (chest.top + 0.035 + 1.1 * (ax - 0.3) ** 2);
      const depth = Math.min(wall[at] - ax, apex * 0.75);
      const outside = smooth((width - depth) / (2 * line) + 0.5);
      const pleura = Math.max(0, 1 - Math.abs(width - depth) / line);
      layer[at] += seen * lung[at] * (-outside * (0.075 + markings[at]) + 0.17 * pleura);
    }
  },

  /** Fluid with a meniscus that climbs the wall; a blunted angle where there is little. */
  'Pleural Effusion': ({ chest, canvas, fields, place, amount }) => {
    const { layer, cage, lung, x, y, wall } = fields;
    const edge = Math.max(0.02, canvas.pixel);
    for (const side of sides(place)) {
      const height = (0.045 + 0.15 * Math.min(3, amount)) * (place.side === 'both' && side > 0 ? 0.75 : 1);
      const corner = diaphragmAt(chest, side * (chest.width - 0.06));
      for (let at = 0; at < layer.length; at++) {
        if (cage[at] === 0 || x[at] * side <= 0) continue;
        const fromWall = Math.max(0, wall[at] - Math.abs(x[at]));
        const level =
          corner - height - 0.55 * height * Math.exp(-fromWall / 0.07) + 0.06 * smooth(fromWall / 0.5);
        const fill = smooth((y[at] - level) / (2.5 * edge) + 0.4);
        layer[at] += Math.min(1, 1.4 * amount) * fill * cage[at] * (0.06 + 0.27 * lung[at]);
      }
    }
  },

  /** A thick rim along the wall, a cap at the apex, or a plaque with lime. */
  'Pleural Other': ({ chest, canvas, fields, place, amount }) => {
    const { layer, cage, scratch } = fields;
    scratch.fill(0);
    for (const side of sides(place)) {
      const points: number[] = [];
      const from = place.zone === 0 ? chest.top + 0.09 : place.zone === 1 ? -0.3 : 0;
      for (let i = 0; i <= 6; i++) {
        const y = from + (place.zone === 0 ? 0.022 : 0.055) * i;
        points.push(side * (cageAt(chest, y) - 0.028), y);
      }
      canvas.path(scratch, points, 0.024 + 0.02 * place.size, 0.22 * Math.min(1.7, amount));
      if (place.form % 3 === 0) {
        const plaque = spot(chest, place, side);
        canvas.path(
          scratch,
          [plaque.x - 0.05, plaque.y, plaque.x, plaque.y + 0.008, plaque.x + 0.045, plaque.y - 0.012],
          0.013,
          0.2 * Math.min(1.5, amount),
        );
      }
    }
    for (let at = 0; at < layer.length; at++) layer[at] += scratch[at] * cage[at];
  },

  /** One or two ribs with a dark cleft, a step, and a dense collar as they heal. */
  Fracture: ({ chest, canvas, fields, place, amount }) => {
    const { layer, scratch } = fields;
    const [side] = sides(place);
    const count = 1 + (place.form % 2);
    for (let i = 0; i < count; i++) {
      const rib = 2 + place.zone * 2 + i;
      const path = ribPath(chest, rib, side, false);
      const step = 6 + Math.round(2 * place.across);
      const [x, y] = [path[2 * step], path[2 * step + 1]];
      const [dx, dy] = [path[2 * step + 2] - x, path[2 * step + 3] - y];
      const length = Math.hypot(dx, dy);
      const [nx, ny] = [-dy / length, dx / length];
      const strength = Math.min(1.8, amount);
      scratch.fill(0);
      canvas.stroke(
        scratch,
        x - 0.04 * nx,
        y - 0.04 * ny,
        x + 0.04 * nx,
        y + 0.04 * ny,
        0.01,
        0.14 * strength,
      );
      for (let at = 0; at < layer.length; at++) layer[at] -= scratch[at];
      scratch.fill(0);
      canvas.stroke(
        scratch,
        x + 0.03 * nx + 0.2 * dx,
        y + 0.03 * ny + 0.2 * dy,
        x + 0.03 * nx + 1.3 * dx,
        y + 0.03 * ny + 1.3 * dy,
        0.022,
        0.15 * strength,
        0.3,
      );
      canvas.puff(scratch, x - 0.5 * dx, y - 0.5 * dy, 0.045, 0.04, 0.1 * strength);
      for (let at = 0; at < layer.length; at++) layer[at] += scratch[at];
    }
  },

  /** One to three of: pacemaker, central line, breathing tube, sternal wires, feeding tube, chest drain. */
  'Support Devices': ({ chest, canvas, fields, place, amount }) => {
    const { layer } = fields;
    const strength = Math.min(1, amount);
    const draw: Readonly<Record<Device, () => void>> = {
      pacemaker: () => {
        canvas.puff(layer, 0.52, -0.42, 0.1, 0.085, 0.6 * strength, 1);
        canvas.path(
          layer,
          [0.46, -0.46, 0.3, -0.52, 0.08, -0.45, -0.04, -0.25, -0.03, 0.05, 0.14, chest.dome - 0.08],
          0.008,
          0.4 * strength,
        );
        canvas.path(
          layer,
          [0.46, -0.43, 0.3, -0.49, 0.07, -0.42, -0.06, -0.2, -0.1, -0.02],
          0.008,
          0.4 * strength,
        );
      },
      line: () =>
        canvas.path(
          layer,
          [-0.2, chest.top - 0.1, -0.16, chest.top + 0.12, -0.1, -0.4, -0.09, -0.12],
          0.009,
          0.3 * strength,
        ),
      picc: () =>
        canvas.path(
          layer,
          [-0.98, -0.3, -0.72, -0.52, -0.42, -0.62, -0.18, -0.56, -0.1, -0.35, -0.09, -0.1],
          0.006,
          0.3 * strength,
        ),
      tube: () => canvas.path(layer, [0.01, -1, 0.005, -0.7, 0, -0.36], 0.016, 0.3 * strength, 0.7),
      wires: () => {
        for (let i = 0; i < 6; i++) {
          const y = -0.46 + 0.15 * i;
          const x = chest.rotation * 0.8;
          canvas.path(
            layer,
            [x - 0.035, y, x, y - 0.018, x + 0.035, y, x, y + 0.016, x - 0.035, y],
            0.006,
            0.5 * strength,
          );
        }
      },
      feeding: () =>
        canvas.path(
          layer,
          [0.03, -1, 0.02, -0.3, 0.03, 0.2, 0.1, chest.dome + 0.08, 0.26, chest.dome + 0.26],
          0.008,
          0.3 * strength,
        ),
      drain: () => {
        const side = place.across < 0.5 ? -1 : 1;
        const wall = cageAt(chest, 0.15);
        canvas.path(
          layer,
          [
            side * (wall + 0.2),
            0.32,
            side * (wall - 0.05),
            0.12,
            side * (wall - 0.18),
            -0.3,
            side * (wall - 0.28),
            -0.5,
          ],
          0.016,
          0.28 * strength,
          0.6,
        );
      },
    };
    for (const device of devicesOf(place)) draw[device]();
  },
};

export type Device = 'pacemaker' | 'line' | 'picc' | 'tube' | 'wires' | 'feeding' | 'drain';

/** What devices a patient has, where they have any: common companies. */
export function devicesOf({ form }: Place): readonly Device[] {
  const companies: readonly (readonly Device[])[] = [
    ['pacemaker'],
    ['line'],
    ['picc'],
    ['wires'],
    ['tube', 'feeding'],
    ['tube', 'line', 'feeding'],
    ['pacemaker', 'wires'],
    ['drain'],
    ['wires', 'line'],
    ['picc', 'feeding'],
  ];
  return companies[form % companies.length];
}

/** Numbers of the findings in the order in which they are drawn: what lies deep first, hardware last. */
export const DRAWING_ORDER: readonly number[] = [
  'Cardiomegaly',
  'Enlarged Cardiomediastinum',
  'Pneumothorax',
  'Edema',
  'Lung Opacity',
  'Consolidation',
  'Pneumonia',
  'Lung Lesion',
  'Atelectasis',
  'Pleural Other',
  'Pleural Effusion',
  'Fracture',
  'Support Devices',
].map(latentIndex);

/** Fills `fields.layer` with what finding `name` adds. */
export function drawFinding(name: string, scene: Scene): void {
  scene.fields.layer.fill(0);
  LOOKS[name](scene);
}
