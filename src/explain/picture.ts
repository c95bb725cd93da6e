import sharp from 'sharp';
import { escapeHtml } from '../page/index.ts';
import { aten, fromTypedArray, tidy } from '../torch/index.ts';
import { heatColour } from './colour-map.ts';

/** Side of a panel, in px. */
export const SIDE = 224;

/** A map or a mask, rows from the top. */
export interface Grid<A extends Float32Array | Uint8Array = Float32Array> {
  readonly height: number;
  readonly width: number;
  readonly values: A;
}

/** A map in another size, bilinear between the middles of its places, as PyTorch's `interpolate`. */
export function resizedMap({ height, width, values }: Grid, toHeight: number, toWidth: number): Float32Array {
  if (height === toHeight && width === toWidth) return values;
  return tidy(() => {
    const map = fromTypedArray(values, { shape: [1, 1, height, width] });
    return aten.upsample_bilinear2d(map, [toHeight, toWidth], false).toTypedArray() as Float32Array;
  });
}

/** One panel of a side-by-side picture. */
export interface Panel {
  /** Lines above it, at most two. */
  readonly lines: readonly string[];
  /** The map that lies on the picture; without one the picture is as it is. */
  readonly map?: Grid | undefined;
}

/** An image with what was found in it. */
export interface Shown {
  /** SIDE×SIDE×3, 0 to 255. */
  readonly picture: Uint8Array;
  /** What is there: its outline is drawn into every panel. */
  readonly mask?: Grid<Uint8Array> | undefined;
}

/** The colour of outlines: far from all of the heat's. */
const OUTLINE = [0, 229, 255] as const;

/**
 * The pixels of a panel: the picture, or half of it and half of the map's colours, where 1 is the map's own greatest value.
 * @returns SIDE×SIDE×3
 */
export function panelPixels({ picture, mask }: Shown, map: Grid | undefined): Uint8Array {
  const pixels = Uint8Array.from(picture);
  if (map !== undefined) {
    const large = resizedMap(map, SIDE, SIDE);
    const greatest = large.reduce((most, value) => Math.max(most, value), 0);
    for (let i = 0; i < large.length; i++) {
      const colour = heatColour(greatest > 0 ? large[i]! / greatest : 0);
      for (let c = 0; c < 3; c++) pixels[3 * i + c] = (picture[3 * i + c]! + colour[c]!) / 2;
    }
  }
  if (mask !== undefined) {
    const inside = (y: number, x: number) =>
      y >= 0 &&
      x >= 0 &&
      y < SIDE &&
      x < SIDE &&
      mask.values[Math.floor((y * mask.height) / SIDE) * mask.width + Math.floor((x * mask.width) / SIDE)] ===
        1;
    for (let y = 0; y < SIDE; y++)
      for (let x = 0; x < SIDE; x++)
        if (inside(y, x) && !(inside(y - 1, x) && inside(y + 1, x) && inside(y, x - 1) && inside(y, x + 1)))
          pixels.set(OUTLINE, 3 * (y * SIDE + x));
  }
  return pixels;
}

/** A panel as JPEG, for a page. */
export async function panelJpeg(shown: Shown, map: Grid | undefined): Promise<Uint8Array> {
  return await sharp(panelPixels(shown, map), { raw: { width: SIDE, height: SIDE, channels: 3 } })
    .jpeg({ quality: 85 })
    .toBuffer();
}

const GAP = 8;
const HEAD = 42;
const SCALE = 74;

/** The panels side by side with the scale of the maps, as PNG. Where this machine has no fonts, they have no words. */
export async function sideBySidePng(shown: Shown, panels: readonly Panel[]): Promise<Uint8Array> {
  const width = GAP + panels.length * (SIDE + GAP) + SCALE;
  const height = HEAD + SIDE + GAP;
  const raw = { width: SIDE, height: SIDE, channels: 3 } as const;
  const placed = panels.map(({ map }, p) => ({
    input: Buffer.from(panelPixels(shown, map)),
    raw,
    left: GAP + p * (SIDE + GAP),
    top: HEAD,
  }));
  const text = (x: number, y: number, line: string, more = '') =>
    `<text x="${x}" y="${y}"${more}>${escapeHtml(line)}</text>`;
  const heads = panels.flatMap(({ lines }, p) =>
    lines.map((line, l) =>
      text(GAP + p * (SIDE + GAP), 17 + 16 * l, cut(line, 34), l === 0 ? ' font-weight="600"' : ''),
    ),
  );
  const bar = GAP + panels.length * (SIDE + GAP) + 4;
  const steps = Array.from({ length: SIDE }, (_, y) => {
    const [r, g, b] = heatColour(1 - y / (SIDE - 1));
    return `<rect x="${bar}" y="${HEAD + y}" width="14" height="1.5" fill="rgb(${r},${g},${b})"/>`;
  });
  const ticks = [1, 0.5, 0].map((value) =>
    text(bar + 19, HEAD + 4 + (1 - value) * (SIDE - 5) + 4, value === 1 ? '1 max' : String(value)),
  );
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="Helvetica, Arial, sans-serif" font-size="12.5" fill="#1b1f24">${heads.join('')}${steps.join('')}${ticks.join('')}</svg>`;
  return await sharp({ create: { width, height, channels: 3, background: '#ffffff' } })
    .composite([...placed, { input: Buffer.from(svg), left: 0, top: 0 }])
    .png({ compressionLevel: 9 })
    .toBuffer();
}

function cut(line: string, most: number): string {
  return line.length <= most ? line : `${line.slice(0, most - 1)}…`;
}
