import { join, resolve } from 'node:path';
import {
  checkImages,
  checkNotEmpty,
  type DataCheck,
  type Dataset,
  dicomHint,
  LACK_HINT,
  lackingFindings,
  lackText,
  withoutDuplicates,
} from '../data/index.ts';
import { printable } from '../files/index.ts';
import type { StudyOptions } from '../study/study.ts';
import { tellSkipped } from './data-notes.ts';
import type { DataFlags } from './options.ts';
import { createProgress } from './progress.ts';

/**
 * Says what a reader left aside, with what to do about DICOM, and of which findings a split has only one kind of case.
 * @param about stands in front of what is said
 */
export function tellDataset(dataset: Dataset, path: string, about = ''): void {
  const say = speaker(about);
  tellSkipped(dataset.skipped, say);
  const hint = dicomHint(dataset.skipped.map(({ file }) => join(resolve(path), file)));
  if (hint !== undefined) say(`  hint: ${hint}\n`);
  for (const note of dataset.notes) say(`note: ${note}\n`);
  const lacks = lackingFindings(dataset);
  for (const lack of lacks) say(`warning: ${lackText(lack)}\n`);
  if (lacks.length > 0) say(`  hint: ${LACK_HINT}\n`);
}

/**
 * Looks at the images before they are trained on, and says what was found; takes copies out where `--skip-duplicates` asks
 * for it.
 * @param windowed whether an intensity window is set: then nothing is said of an unused range
 * @param about stands in front of what is said: `set knee: `
 */
export async function checkData(
  dataset: Dataset,
  flags: Pick<DataFlags, 'check' | 'skipDuplicates'>,
  windowed: boolean,
  about = '',
): Promise<Dataset> {
  const how = flags.check ?? 'quick';
  const all = how === 'full' || flags.skipDuplicates === true;
  if (dataset.format === 'phantom' || (how === 'none' && !all)) return dataset;
  const progress = createProgress({ label: `${about}looking at images`, total: 0, unit: 'images' });
  let shown = false;
  const began = performance.now();
  const found = await checkImages(dataset, {
    ...(all && { most: Number.POSITIVE_INFINITY }),
    onProgress(done) {
      // Short looks say nothing.
      if (!shown && performance.now() - began < 2000) return;
      shown = true;
      progress.update(done);
    },
  });
  if (shown) progress.done();
  tellCheck(found, windowed, flags.skipDuplicates === true, speaker(about));
  if (flags.skipDuplicates !== true || found.duplicates.length === 0) return dataset;
  const kept = withoutDuplicates(dataset, found);
  checkNotEmpty(kept);
  return kept;
}

/**
 * For studies: says of each set, and of each centre that is a set of its own, what was left aside and what is odd about its
 * images; of each once.
 */
export function lookAtSets(check: DataFlags['check']): NonNullable<StudyOptions['look']> {
  const flags = check === undefined ? {} : { check };
  const centres = new Set<string>();
  return async (set, left) => {
    const windowed = left.some(({ config }) => config.window !== null);
    tellDataset(set.dataset, set.path, `set ${set.id}: `);
    await checkData(set.dataset, flags, windowed, `set ${set.id}: `);
    for (const { name, kind, subset } of set.centres) {
      if (kind === 'site' || centres.has(name)) continue;
      centres.add(name);
      await checkData({ ...set.dataset, splits: { test: subset } }, flags, windowed, `centre ${name}: `);
    }
  };
}

const SHOWN = 3;

function tellCheck(
  { looked, images, broken, duplicates, unused }: DataCheck,
  windowed: boolean,
  skip: boolean,
  say: (text: string) => void,
): void {
  const of =
    looked < images ? ` (of ${looked} that were looked at; --check full looks at all ${images})` : '';
  if (broken.length > 0) {
    say(
      `warning: ${broken.length} ${broken.length === 1 ? 'image' : 'images'} cannot be read and will be left out${of}\n`,
    );
    for (const { file, reason } of broken.slice(0, 10)) say(`  ${printable(file)}: ${reason}\n`);
    if (broken.length > 10) say(`  and ${broken.length - 10} more\n`);
  }
  if (duplicates.length > 0) {
    const across = duplicates.filter(({ split, other }) => split !== other.split);
    const first = across.length > 0 ? across : duplicates;
    say(
      `warning: ${duplicates.length} ${duplicates.length === 1 ? 'image is a copy' : 'images are copies'} of another, ${across.length} of them of one in another split${of}${skip ? '; they are left out' : ''}\n`,
    );
    for (const { split, name, other } of first.slice(0, SHOWN))
      say(`  ${split}: ${printable(name)} = ${other.split}: ${printable(other.name)}\n`);
    if (!skip) say('  hint: --skip-duplicates keeps one of each, the test image before the training image\n');
  }
  if (unused !== undefined && !windowed) {
    const bits = Math.max(8, Math.ceil(Math.log2(unused.greatest + 1)));
    say(
      `warning: the 16-bit images use values up to ${unused.greatest} of 65535 (${unused.images} looked at): to the network they are nearly black\n  hint: --window auto stretches 0 to ${2 ** bits - 1} over the whole range\n`,
    );
  }
}

/** Writes lines; what is about one thing of several begins with its name, and indented lines belong to the one before. */
function speaker(about: string): (text: string) => void {
  return (text) => {
    process.stderr.write(text.replace(/^(?=\S)/gm, about));
  };
}
