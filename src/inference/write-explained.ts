import { join } from 'node:path';
import { concatenate } from '../concatenate.ts';
import { explainHtml, type Grid, type PageCase, panelJpeg, sideBySidePng } from '../explain/index.ts';
import { makeFolder, printable, writeFolder, writeNew } from '../files/index.ts';
import { fromTypedArray, tidy, writeSafetensors } from '../torch/index.ts';
import { type Explained, type ExplainedCase, evenly } from './explain-runs.ts';

export interface WriteExplainedOptions {
  /** Of how many cases pictures are drawn, spread evenly. */
  readonly pictures: number;
  /** Whether the maps themselves are written, as `maps.safetensors`. */
  readonly maps: boolean;
  readonly overwrite: boolean;
  readonly inputs: readonly string[];
}

/**
 * Writes what was explained into a folder that appears at once: `index.html`, `explain.json`, `pictures/`, and on request
 * `maps.safetensors`.
 * @throws `files/exists`, `files/same`
 */
export async function writeExplained(
  out: string,
  said: Explained,
  options: WriteExplainedOptions,
): Promise<void> {
  const { columns, cases, scores } = said;
  const drawn = evenly(
    cases.map((_, at) => at),
    options.pictures,
  );
  const { overwrite, inputs } = options;
  await writeFolder(out, { kind: 'explain', overwrite, inputs }, async (draft) => {
    makeFolder(join(draft, 'pictures'));
    const shown = await said.shown(drawn);
    const files = new Map<number, string>();
    const pages: PageCase[] = [];
    for (const at of drawn) {
      const seen = shown.get(at);
      if (seen === undefined) continue;
      const one = cases[at]!;
      const file = `pictures/${String(at + 1).padStart(5, '0')}-${one.output.replace(/[^\w-]+/g, '-')}.png`;
      files.set(at, file);
      const lines = columns.map(({ name }, c) => [name, wordsOf(one, c)]);
      const panels = [
        { lines: [one.output, printable(one.image)] },
        ...columns.map((_, c) => ({ lines: lines[c]!, map: one.maps[c] })),
      ];
      writeNew(join(draft, file), await sideBySidePng(seen, panels));
      const source = async (map: Grid | undefined) =>
        `data:image/jpeg;base64,${Buffer.from(await panelJpeg(seen, map)).toString('base64')}`;
      pages.push({
        image: printable(one.image),
        output: one.output,
        truth: one.truth,
        picture: await source(undefined),
        panels: await Promise.all(
          lines.map(async (own, c) => ({ source: await source(one.maps[c]), lines: own })),
        ),
      });
    }
    writeNew(
      join(draft, 'index.html'),
      explainHtml({
        data: said.data,
        columns,
        images: said.images.length,
        cases: pages,
        scores,
        notes: said.notes,
      }),
    );
    writeNew(join(draft, 'explain.json'), `${JSON.stringify(explainJson(said, files), null, 1)}\n`);
    if (options.maps) writeMaps(join(draft, 'maps.safetensors'), said);
  });
}

function wordsOf({ probabilities, agreements }: ExplainedCase, c: number): string {
  const agrees = agreements?.[c];
  const points = agrees && (agrees.hit === 1 ? ', hit' : ', miss');
  return `p ${probabilities[c]!.toFixed(2)}${agrees ? `${points}, energy ${(100 * agrees.energy).toFixed(0)} %` : ''}`;
}

/** Maps in the order of `cases` in `explain.json`: a tensor [maps, h, w] for each column, by its name there. */
function writeMaps(path: string, { columns, cases }: Explained): void {
  tidy(() =>
    writeSafetensors(
      path,
      new Map(
        columns.map(({ name }, c) => {
          const { height, width } = cases[0]!.maps[c]!;
          const values = concatenate(
            cases.map(({ maps }) => maps[c]!.values),
            Float32Array,
          );
          return [name, fromTypedArray(values, { shape: [cases.length, height, width] })];
        }),
      ),
    ),
  );
}

/** What a program reads: each map's probability and agreement by column, and the scores. */
function explainJson(
  { data, columns, cases, scores, notes, broken }: Explained,
  files: ReadonlyMap<number, string>,
): unknown {
  return {
    data,
    columns,
    ...(scores && { scores: { all: scores.all, byOutput: Object.fromEntries(scores.byOutput) } }),
    cases: cases.map(({ image, output, truth, maps, probabilities, agreements }, at) => ({
      image,
      output,
      ...(truth !== undefined && { truth: truth.replace('truth: ', '') }),
      ...(files.has(at) && { picture: files.get(at) }),
      columns: columns.map((_, c) => ({
        probability: probabilities[c],
        greatest: maps[c]!.values.reduce((most, value) => Math.max(most, value), 0),
        ...(agreements && {
          hit: agreements[c]!.hit === 1,
          energy: agreements[c]!.energy,
          area: agreements[c]!.area,
        }),
      })),
    })),
    notes,
    broken,
  };
}
