import { join } from 'node:path';
import sharp from 'sharp';
import { writeNew } from '../files/index.ts';
import {
  type Case,
  CLINIC_FINDINGS,
  CLINIC_NAMES,
  type ClinicOptions,
  type Dials,
  dialsOf,
  NO_LABEL,
  type Part,
  SILENT,
  seeClinic,
  splitOf,
} from '../phantom/index.ts';
import { csvLine } from './csv.ts';

/** The lines of one study, by the file that they belong to. */
export interface ClinicRecord {
  readonly index: number;
  readonly split: 'train' | 'val' | 'test';
  readonly lines: Readonly<Record<ClinicTable, string>>;
}

export type ClinicTable = 'labels.csv' | 'plain.csv' | 'reports.csv' | 'truth.csv' | 'masks.jsonl';

/** Between the reports of one study that several readers read, as `dataset build` takes them. */
const AND_REPORT = '|';

const WHO = ['image', 'report', 'patient', 'split'];

/** First lines of the tables. */
export const CLINIC_HEADERS: Readonly<Record<ClinicTable, string>> = {
  'labels.csv': csvLine([...WHO, ...CLINIC_NAMES]),
  'plain.csv': csvLine([...WHO, ...CLINIC_NAMES]),
  'reports.csv': csvLine(['id', 'patient', 'text']),
  'truth.csv': csvLine([
    ...WHO,
    'visit',
    'reader',
    ...CLINIC_NAMES.flatMap((name) => [`${name} reader_p`, `${name} image_p`]),
    ...CLINIC_FINDINGS.flatMap(({ name }) => [`${name} said`, `${name} artefact`]),
  ]),
  'masks.jsonl': '',
};

/** Pictures that are packed at once: the next is drawn meanwhile. */
const IN_FLIGHT = 8;

/** Draws a part of the clinic, writes its pictures into the folder, and gives the lines of its tables. */
export async function* clinicRecords(
  folder: string,
  options: ClinicOptions,
  part: Part,
): AsyncGenerator<ClinicRecord> {
  const dials = dialsOf(options);
  const waiting: Promise<ClinicRecord>[] = [];
  for (const seen of seeClinic(dials, part)) {
    waiting.push(recordOf(folder, seen, dials));
    if (waiting.length >= IN_FLIGHT) yield await waiting.shift()!;
  }
  for (const record of waiting) yield await record;
}

async function recordOf(folder: string, seen: Case, dials: Dials): Promise<ClinicRecord> {
  const { size } = dials;
  const patient = `p${String(seen.patient).padStart(6, '0')}`;
  const study = `${patient}_${seen.visit + 1}`;
  const image = `images/${study}.png`;
  const split = splitOf(seen.patient, dials);
  const readings = [seen, ...seen.others].map((reading, r) => ({
    ...reading,
    id: r === 0 ? study : `${study}_r${r + 1}`,
  }));
  const who = [image, readings.map(({ id }) => id).join(AND_REPORT), patient, split];
  const raw = { width: size, height: size, channels: 1 } as const;
  const png = await sharp(seen.pixels, { raw }).toColourspace('b-w').png({ compressionLevel: 4 }).toBuffer();
  writeNew(join(folder, image), png);
  const masks = seen.drawn.map(({ finding, counts }) => {
    const { name } = CLINIC_FINDINGS[finding];
    const present = seen.findings[finding + 1] === 1;
    return `${JSON.stringify({ image, finding: name, present, size: [size, size], counts })}\n`;
  });
  const short = (p: number) => String(Number(p.toPrecision(7)));
  return {
    index: seen.index,
    split,
    lines: {
      'labels.csv': csvLine([...who, ...seen.findings]),
      'plain.csv': csvLine([...who, ...Array.from(seen.plain, (label) => (label === NO_LABEL ? '' : label))]),
      'reports.csv': readings.map(({ id, report }) => csvLine([id, patient, report])).join(''),
      'truth.csv': readings
        .map(({ id, reader, readerPosterior, said }) =>
          csvLine([
            ...[image, id, patient, split],
            seen.visit + 1,
            `R${reader + 1}`,
            ...CLINIC_NAMES.flatMap((_, k) => [short(readerPosterior[k]), short(seen.picturePosterior[k])]),
            ...CLINIC_FINDINGS.flatMap((_, k) => [said[k] === SILENT ? '' : said[k], seen.artefacts[k]]),
          ]),
        )
        .join(''),
      'masks.jsonl': masks.join(''),
    },
  };
}
