import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { PenumbraError } from '../errors.ts';
import { makeFolder, writeFolder, writeNew } from '../files/index.ts';
import {
  CLINIC_FINDINGS,
  CLINIC_NAMES,
  type ClinicOptions,
  type Dials,
  dialsOf,
  staffOf,
} from '../phantom/index.ts';
import { CLINIC_HEADERS, type ClinicRecord, type ClinicTable, clinicRecords } from './clinic-records.ts';
import type { ClinicWorkerData, ClinicWorkerReply } from './clinic-worker.ts';
import { openDataset } from './open.ts';
import { CLINIC_CARD } from './read-clinic.ts';
import type { Dataset } from './types.ts';

export interface WriteClinicOptions extends ClinicOptions {
  /** Threads that draw; any number writes the same bytes. Default: as many as there are processors, 8 at most. */
  readonly workers?: number;
  readonly onProgress?: (done: number) => void;
}

/** Fewer pixels than this in all are drawn sooner than a thread starts. */
const WORTH_A_THREAD = 4_000_000;

/**
 * Draws the chest clinic into a new or empty folder, as a data set of findings that `openDataset` reads back:
 *
 * - `images/<report>.png`;
 * - `labels.csv`: the true findings, by image, report, patient and split; `plain.csv`: the same by the plain labeler;
 * - `reports.csv`: `id`, `patient`, `text`, for `penumbra extract`;
 * - `truth.csv`: visit, reader, and by finding the posterior of the reader's and of the picture's evidence, what was said
 *   (certainty 0 to 8, blank where nothing), and whether an artefact was at work;
 * - `masks.jsonl`: where each finding was drawn, as COCO's uncompressed run lengths, with `present` false for what only
 *   looks like it;
 * - `clinic.json`: dials, findings, readers; and a README.
 *
 * @returns the data set that was written.
 * @throws {PenumbraError} `phantom/option` for a dial outside its range, `files/exists` where the folder holds anything.
 */
export async function writeClinic(folder: string, options: WriteClinicOptions = {}): Promise<Dataset> {
  const { workers, onProgress, ...given } = options;
  const dials = dialsOf(given);
  const few = dials.images * dials.size ** 2 < WORTH_A_THREAD;
  const threads = workers ?? (few ? 1 : Math.min(8, availableParallelism()));
  await writeFolder(folder, { kind: 'clinic', inputs: [] }, async (draft) => {
    makeFolder(join(draft, 'images'));
    const records: ClinicRecord[] = new Array(dials.images);
    let done = 0;
    const take = (record: ClinicRecord) => {
      records[record.index] = record;
      onProgress?.(++done);
    };
    if (threads < 2) {
      for await (const record of clinicRecords(draft, dials, { part: 0, parts: 1 })) take(record);
    } else await drawInThreads(draft, dials, threads, take);
    for (const table of Object.keys(CLINIC_HEADERS) as ClinicTable[]) {
      writeNew(join(draft, table), CLINIC_HEADERS[table] + records.map(({ lines }) => lines[table]).join(''));
    }
    writeNew(join(draft, CLINIC_CARD), `${JSON.stringify(cardOf(dials, records), undefined, 1)}\n`);
    writeNew(join(draft, 'README.md'), readme(dials));
  });
  return openDataset(folder);
}

async function drawInThreads(
  folder: string,
  options: ClinicOptions,
  parts: number,
  take: (record: ClinicRecord) => void,
): Promise<void> {
  // `.ts` from the sources, `.js` from the build.
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
  const file = new URL(`./clinic-worker${extension}`, import.meta.url);
  const threads = Array.from({ length: parts }, (_, part) => {
    const workerData: ClinicWorkerData = { folder, options, part: { part, parts } };
    // Without this process's own flags: some, such as --input-type, are not for files.
    return new Worker(file, { workerData, name: 'penumbra-clinic', execArgv: [] });
  });
  try {
    await Promise.all(
      threads.map(
        (thread) =>
          new Promise<void>((resolve, reject) => {
            thread.on('message', (reply: ClinicWorkerReply) => {
              if (!('code' in reply)) reply.forEach(take);
              else
                reject(
                  new PenumbraError(reply.code, reply.message, { ...(reply.hint && { hint: reply.hint }) }),
                );
            });
            thread.on('error', reject);
            thread.on('exit', (code) =>
              code === 0 ? resolve() : reject(new Error(`a drawing thread ended with ${code}`)),
            );
          }),
      ),
    );
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

function cardOf(dials: Dials, records: readonly ClinicRecord[]): object {
  const splits = { train: 0, val: 0, test: 0 };
  for (const { split } of records) splits[split]++;
  const readers = staffOf(dials).map(({ number, skill, boldness, habit, silence }) => ({
    reader: `R${number + 1}`,
    skill,
    boldness,
    habit,
    silence,
  }));
  return { kind: 'chest', dials, splits, findings: CLINIC_NAMES, model: CLINIC_FINDINGS, readers };
}

function readme(dials: Dials): string {
  return `# A chest clinic that never was
${dials.images} virtual studies of ${dials.size}×${dials.size} pixels, drawn by Penumbra with seed ${dials.seed}. Nobody's pictures, nobody's reports.

- \`labels.csv\`: the true findings; \`plain.csv\`: what a plain labeler made of the reports (1, 0, −1 uncertain, blank).
- \`reports.csv\`: what the readers wrote. \`truth.csv\`: what they believed (\`reader_p\`), what the pictures show
  (\`image_p\`), the certainty that they put into words (\`said\`, 0 to 8), artefacts. \`masks.jsonl\`: where it is.
- \`clinic.json\`: all dials. The model is in Penumbra's docs/chest-clinic.md.

    penumbra extract reports.csv --out rows.jsonl
    penumbra dataset build labels.csv --rows rows.jsonl --out heard
    penumbra train heard --out run

Train on what was heard, judge on \`labels.csv\`: train on this folder itself only to see what knowing the truth is worth.
`;
}
