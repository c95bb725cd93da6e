import { existsSync } from 'node:fs';
import type { BrokenFile, ImagePart, Images } from '../data/index.ts';
import { csvLine } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import {
  checkDistinct,
  checkResult,
  removeFile,
  removeTemporariesOf,
  takeLock,
  writeResult,
} from '../files/index.ts';
import {
  type CellColumn,
  partOf,
  predictionsFormat,
  predictionsKind,
  type RowPart,
  type Said,
  saidColumns,
  writeRows,
} from '../judge/index.ts';
import type { AbstentionRule, SetRule } from './conclusions.ts';
import type { Predictor } from './predictor.ts';

export interface PredictImagesOptions {
  /** `.csv`, `.jsonl` or `.parquet`. */
  readonly out: string;
  readonly sets?: SetRule | undefined;
  readonly abstention?: AbstentionRule | undefined;
  /** What is read: the results must be none of it. */
  readonly inputs: readonly string[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface PredictedImages {
  readonly images: number;
  /** Of `images`, those that could not be read. */
  readonly broken: readonly BrokenFile[];
  /** Where these are listed; undefined where there are none. */
  readonly brokenFile: string | undefined;
  /** Answers not given: images, or of findings image and finding. */
  readonly abstained: number;
  readonly answers: number;
}

/** What stands in the place of an answer that is not given. */
export const UNKNOWN = 'I do not know';

/** Where images are listed that could not be read: beside the predictions. */
export function brokenPathOf(out: string): string {
  return `${out}.broken.csv`;
}

/**
 * Writes what a predictor says of images, one row an image that could be read, while they are read: memory does not grow
 * with their number. The columns are those of `saidColumns` behind `name`, then `set`, `set_size` and `answer` where they are
 * asked for, and the `group` where it is known. Images that could not be read are listed in `<out>.broken.csv`.
 *
 * Nothing is there, or what was there before, until everything is.
 * @throws `files/…`, `data/all-broken` where no image can be read, and the reason of an abort
 */
export async function predictImages(
  predictor: Predictor,
  images: Images,
  options: PredictImagesOptions,
): Promise<PredictedImages> {
  const { out, inputs } = options;
  predictionsFormat(out);
  using _lock = takeLock(`${out}.lock`, { what: out });
  checkPredictionsFile(out, inputs);
  // What an earlier call left that was killed: rows are written for as long as images are read.
  for (const path of [out, brokenPathOf(out)]) removeTemporariesOf(path);
  const hasGroups = images.parts.some(({ groupOf }) => groupOf !== undefined);
  const columns = columnsOf(predictor, options, hasGroups);
  const broken: BrokenFile[] = [];
  const counted = { done: 0, abstained: 0, answers: 0 };
  await writeRows(out, columns, rowsOf(), inputs);
  const brokenFile = brokenPathOf(out);
  if (broken.length > 0) {
    const lines = broken.map(({ file, reason }) => csvLine([file, reason]));
    writeResult(brokenFile, [csvLine(['name', 'reason']), ...lines], { kind: 'broken', inputs });
  } else if (existsSync(brokenFile)) removeFile(brokenFile); // Of an earlier call: checkPredictionsFile looked at it.
  return {
    images: images.length,
    broken,
    brokenFile: broken.length > 0 ? brokenFile : undefined,
    abstained: counted.abstained,
    answers: counted.answers,
  };

  async function* rowsOf(): AsyncGenerator<RowPart> {
    for (const part of images.parts) {
      const reading = predictor.read(part.subset, options.signal);
      try {
        for await (const rows of reading) {
          const { indices } = rows;
          const said = concluded(predictor, part, options, rows);
          if (said.answers !== undefined) {
            counted.answers += said.answers.length;
            for (const answer of said.answers) if (answer === UNKNOWN) counted.abstained++;
          }
          yield partOf(columns, said, indices.length);
          counted.done += indices.length;
          options.onProgress?.(counted.done + broken.length + reading.broken.length, images.length);
        }
      } catch (error) {
        // One of several files, or a few of many images: the others count.
        const allBroken = error instanceof PenumbraError && error.code === 'data/all-broken';
        if (!allBroken || images.parts.length === 1) throw error;
      }
      for (const one of reading.broken) broken.push(one);
    }
  }
}

/** Makes sure that both files may be written, before the work. @throws `files/same`, `files/exists` */
export function checkPredictionsFile(out: string, inputs: readonly string[]): void {
  checkResult(out, { kind: predictionsKind(out), inputs });
  checkDistinct(brokenPathOf(out), inputs);
  checkResult(brokenPathOf(out), { kind: 'broken', inputs });
}

interface Concluded extends Said {
  readonly names: readonly string[];
  readonly groups: readonly (string | null)[] | undefined;
  /** n, or of findings n×K. */
  readonly sets: readonly (readonly number[])[] | undefined;
  /** n, or of findings n×K. */
  readonly answers: readonly string[] | undefined;
}

function concluded(
  predictor: Predictor,
  { subset, groupOf }: ImagePart,
  { sets, abstention }: PredictImagesOptions,
  said: Said & { readonly indices: Int32Array },
): Concluded {
  const { indices, own, probabilities, doubt } = said;
  return {
    own,
    probabilities,
    doubt,
    names: Array.from(indices, (i) => subset.nameOf(i)),
    groups: groupOf && Array.from(indices, groupOf),
    sets: sets?.setsOf(own),
    answers: abstention && answersOf(predictor, abstention, said),
  };
}

/** Whether to answer is decided by the networks' own confidence, as the threshold was chosen; the answer is the calibrated one's. */
function answersOf(
  predictor: Predictor,
  { thresholds }: AbstentionRule,
  { own, probabilities }: Said,
): string[] {
  const { kind, classes } = predictor;
  const k = classes.length;
  if (kind === 'findings')
    return Array.from(probabilities, (p, at) => {
      const sure = Math.fround(Math.max(own[at]!, Math.fround(1 - own[at]!)));
      return sure >= thresholds[at % k]! ? (p > 0.5 ? 'present' : 'absent') : UNKNOWN;
    });
  return Array.from({ length: probabilities.length / k }, (_, i) => {
    let best = 0;
    let sure = 0;
    for (let c = 0; c < k; c++) {
      if (probabilities[i * k + c]! > probabilities[i * k + best]!) best = c;
      sure = Math.max(sure, own[i * k + c]!);
    }
    return sure >= thresholds[0]! ? classes[best]! : UNKNOWN;
  });
}

/** The answers of a binary question, by their numbers. */
const BINARY = ['absent', 'present'];

function columnsOf(
  { kind, classes, calibrated, predictsDoubt }: Predictor,
  { sets, abstention }: PredictImagesOptions,
  hasGroups: boolean,
): CellColumn<Concluded>[] {
  const k = classes.length;
  const columns: CellColumn<Concluded>[] = [
    { name: 'name', type: 'STRING', cell: ({ names }, i) => names[i]! },
    ...saidColumns(kind, classes, { calibrated, doubt: predictsDoubt }),
  ];
  const text = (name: string, cell: CellColumn<Concluded>['cell']) =>
    columns.push({ name, type: 'STRING', cell });
  if (sets !== undefined && kind === 'one-of-k') {
    text('set', (said, i) => said.sets![i]!.map((c) => classes[c]).join('|'));
    columns.push({ name: 'set_size', type: 'INT32', cell: (said, i) => said.sets![i]!.length });
  }
  if (abstention !== undefined && kind === 'one-of-k') text('answer', (said, i) => said.answers![i]!);
  if (kind === 'findings') {
    classes.forEach((name, c) => {
      if (sets !== undefined)
        text(`set_${name}`, (said, i) => said.sets![i * k + c]!.map((answer) => BINARY[answer]).join('|'));
      if (abstention !== undefined) text(`answer_${name}`, (said, i) => said.answers![i * k + c]!);
    });
  }
  if (hasGroups) text('group', (said, i) => said.groups?.[i] ?? null);
  return columns;
}
