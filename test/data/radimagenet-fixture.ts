import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { csvLine, RADIMAGENET_CLASSES, type SplitName } from '../../src/data/index.ts';
import { drawPhantoms } from '../../src/phantom/index.ts';

export interface RadImageNetFixture {
  /** Images of each class per split. Default: train 2, val 1, test 1. */
  readonly images?: Readonly<Record<SplitName, number>>;
  /** Side of the pictures, 32 to 512. Default: 32. */
  readonly size?: number;
  /** Default: 0. */
  readonly seed?: number;
  /** Default: all 165. */
  readonly classes?: readonly string[];
  /**
   * How the tables write a class: without its modality (`abd-normal`, the default), whole (`CT_abd_normal`), or only the
   * finding (`normal`), which leaves the rest to the folder.
   */
  readonly labels?: 'region' | 'whole' | 'finding';
  /** A column `site` with these names in turn. Default: no such column. */
  readonly sites?: readonly string[];
}

/**
 * Writes phantoms in RadImageNet's layout: `RadiologyAI_{train,val,test}.csv` with `filename,label` and
 * `radiology_ai/<modality>/<anatomy>/<class>/<file>.png`, for ultrasound without the anatomy. Nobody's pictures. The
 * severity of the phantom grows with the number of the class, so there is something to learn.
 *
 * @returns the class of each file.
 */
export async function writeRadImageNet(
  folder: string,
  options: RadImageNetFixture = {},
): Promise<Map<string, string>> {
  const { images = { train: 2, val: 1, test: 1 }, size = 32, seed = 0, sites } = options;
  const classes = options.classes ?? RADIMAGENET_CLASSES;
  const perClass = images.train + images.val + images.test;
  const { pixels, severities } = drawPhantoms({ images: classes.length * perClass, size, seed });
  const bySeverity = [...severities.keys()].sort((a, b) => severities[a] - severities[b]);
  const classOf = new Map<string, string>();
  const tables: Record<SplitName, string> = { train: '', val: '', test: '' };
  let next = 0;
  for (const [k, name] of classes.entries()) {
    const [modality, anatomy, ...words] = name.split('_');
    const finding = words.join('_');
    const label = { whole: name, region: `${anatomy}-${finding}`, finding }[options.labels ?? 'region'];
    const place = modality === 'US' ? `US/${finding}` : `${modality}/${anatomy}/${finding}`;
    const splits = (['train', 'val', 'test'] as const).flatMap((split) => Array(images[split]).fill(split));
    for (const [i, split] of (splits as SplitName[]).entries()) {
      const file = `radiology_ai/${place}/${anatomy}${String(k * perClass + i).padStart(6, '0')}.png`;
      const row = bySeverity[next++];
      await writePng(join(folder, file), pixels.slice(row * size * size, (row + 1) * size * size), size);
      classOf.set(file, name);
      tables[split] += csvLine(sites === undefined ? [file, label] : [file, label, sites[i % sites.length]]);
    }
  }
  const header = csvLine(sites === undefined ? ['filename', 'label'] : ['filename', 'label', 'site']);
  for (const [split, rows] of Object.entries(tables)) {
    if (rows !== '') writeFileSync(join(folder, `RadiologyAI_${split}.csv`), header + rows);
  }
  return classOf;
}

async function writePng(path: string, pixels: Uint8Array, size: number): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  // A copy, since sharp does not take shared memory.
  const raw = { width: size, height: size, channels: 1 } as const;
  await sharp(Uint8Array.from(pixels), { raw }).toColourspace('b-w').png().toFile(path);
}
