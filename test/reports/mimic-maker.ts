import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Random } from '../../src/random.ts';
import { makeZip, type ZipFile } from './zip-maker.ts';

/** What a made archive holds. */
export interface MadeArchive {
  readonly reports: number;
  readonly patients: number;
  readonly images: number;
  /** Of `images`, PA and AP. */
  readonly frontal: number;
}

/** The columns of MIMIC-CXR-JPG 2.0.0's metadata, in its order. */
const METADATA = [
  ...[
    'dicom_id',
    'subject_id',
    'study_id',
    'PerformedProcedureStepDescription',
    'ViewPosition',
    'Rows',
    'Columns',
  ],
  ...['StudyDate', 'StudyTime', 'ProcedureCodeSequence_CodeMeaning', 'ViewCodeSequence_CodeMeaning'],
  'PatientOrientationCodeSequence_CodeMeaning',
];
/** Those of its labels. */
const LABELS = [
  ...['Atelectasis', 'Cardiomegaly', 'Consolidation', 'Edema', 'Enlarged Cardiomediastinum', 'Fracture'],
  ...['Lung Lesion', 'Lung Opacity', 'No Finding', 'Pleural Effusion', 'Pleural Other', 'Pneumonia'],
  ...['Pneumothorax', 'Support Devices'],
];

const findings = [
  'Heart size is normal.',
  'The cardiac silhouette is mildly enlarged.',
  'The lungs are clear.',
  'There is no focal consolidation, pleural effusion, or pneumothorax.',
  'Small left pleural effusion with adjacent atelectasis.',
  'Patchy opacity in the right lower lobe which may represent atelectasis or early pneumonia.',
  'Mild interstitial edema.',
  'Right internal jugular catheter terminates in the low superior vena cava.',
  'Old healed left rib fractures.',
  'The mediastinal contours are unremarkable.',
];
const impressions = [
  'No acute cardiopulmonary process.',
  'Probable right lower lobe pneumonia.',
  'Pneumonia cannot be excluded.',
  'Stable left pleural effusion.',
  '1. Interval resolution of the right pneumothorax.\n \n 2. Bibasilar atelectasis.',
  'Findings suggestive of mild edema.',
];

/** The text of virtual report number `i`, in the manner of MIMIC-CXR's. */
export function mimicText(i: number): string {
  const random = new Random(20, i);
  const pick = (list: readonly string[]): string => list[random.below(list.length)]!;
  const body = Array.from({ length: 3 + random.below(4) }, () => pick(findings)).join('  ');
  const wrapped = body.replace(/(.{60,75}) +/g, '$1\n ');
  const head = ` FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n \n INDICATION:  ___ with cough  // eval for pneumonia\n \n COMPARISON:  ___.\n \n`;
  return random.below(5) === 0
    ? `${head} ${wrapped}\n`
    : `${head} FINDINGS: \n \n ${wrapped}\n \n IMPRESSION: \n \n ${pick(impressions)}\n`;
}

/**
 * Writes `count` virtual reports in MIMIC-CXR's layout below `folder/files`, and MIMIC-CXR-JPG's tables into
 * `folder/jpg`. With `zip`, the reports go into `folder/mimic-cxr-reports.zip` too.
 */
export function makeMimic(folder: string, count: number, options: { zip?: boolean } = {}): MadeArchive {
  const random = new Random(21, count);
  const metadata = [METADATA.join(',')];
  const splits = ['dicom_id,study_id,subject_id,split'];
  const chexpert = [`subject_id,study_id,${LABELS.join(',')}`];
  let frontal = 0;
  const zipped: ZipFile[] = [];
  let patient = 10_000_000;
  let left = 0;
  let patients = 0;
  let folderMade = '';
  for (let i = 0; i < count; i++) {
    if (left === 0) {
      patient += 1 + random.below(250);
      patients++;
      left = 1 + random.below(6);
    }
    left--;
    const study = 50_000_000 + i;
    const p = `p${patient}`;
    const path = `files/${p.slice(0, 3)}/${p}/s${study}.txt`;
    const text = mimicText(i);
    const parent = join(folder, 'files', p.slice(0, 3), p);
    if (parent !== folderMade) mkdirSync((folderMade = parent), { recursive: true });
    writeFileSync(join(folder, path), text);
    if (options.zip) zipped.push({ name: path, bytes: Buffer.from(text) });
    const side = patient % 20 === 0 ? 'test' : patient % 20 === 1 ? 'validate' : 'train';
    for (let k = 0; k <= random.below(2); k++) {
      const dicom = `${study.toString(16)}-${k}`;
      // Some images of the archive have no view.
      const view = k > 0 ? 'LATERAL' : (['PA', 'AP', ''][i % 25 === 0 ? 2 : i % 2] as string);
      if (view === 'PA' || view === 'AP') frontal++;
      const procedure = 'CHEST (PA AND LAT),';
      metadata.push(
        `${dicom},${patient},${study},${procedure}${view},3056,2544,21800506,213014.53100000001,${procedure}${k === 0 ? 'postero-anterior' : 'lateral'},Erect`,
      );
      splits.push(`${dicom},${study},${patient},${side}`);
    }
    chexpert.push(
      `${patient},${study},${['', '1.0', '-1.0', '0.0'][random.below(4)]}${','.repeat(LABELS.length - 1)}`,
    );
  }
  mkdirSync(join(folder, 'jpg'), { recursive: true });
  const put = (table: string, lines: string[]): void =>
    writeFileSync(
      join(folder, `jpg/mimic-cxr-2.0.0-${table}.csv.gz`),
      gzipSync(`${lines.join('\n')}\n`, { level: 1 }),
    );
  put('metadata', metadata);
  put('split', splits);
  put('chexpert', chexpert);
  if (options.zip) writeFileSync(join(folder, 'mimic-cxr-reports.zip'), makeZip(zipped, { zip64: true }));
  return { reports: count, patients, images: metadata.length - 1, frontal };
}
