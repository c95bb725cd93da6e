import type { DatasetSummary } from './summary.ts';

const sources = {
  'mimic-cxr-jpg': 'MIMIC-CXR-JPG (metadata, split and chexpert tables)',
  chexpert: 'CheXpert (its CSV)',
  table: 'a table of images',
} as const;

const percent = (part: number, whole: number): string =>
  whole === 0 ? '–' : `${((100 * part) / whole).toFixed(1)} %`;

/** The data card: what the data set is, what is in it, and what it must not be taken for. */
export function dataCard(s: DatasetSummary): string {
  const extractor = s.extractors.map((e) => `${e.extractor} (version ${e.version})`).join(', ');
  const table = (header: string[], rows: (string | number)[][]): string =>
    [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
  const agreement = s.findings.some((f) => f.agreement !== null);
  return `# ${s.name}

Chest images with findings, probabilities and evidence from their reports. Version \`${s.version}\` (SHA-256 of \`labels.csv\`, first 16 digits).

## What it is made of

- Images: ${sources[s.source]}. Reports: rows of \`penumbra extract\`, extractor ${extractor}.
- Files: ${s.files.map((f) => `\`${f.file}\` (${f.bytes.toLocaleString('en')} bytes)`).join(', ')}.
- ${s.images.toLocaleString('en')} images of ${s.reports.toLocaleString('en')} reports and ${s.patients.toLocaleString('en')} patients.
- Left out: ${s.leftOut.imagesWithoutReport.toLocaleString('en')} images without a report, ${s.leftOut.reportsWithoutImage.toLocaleString('en')} reports without an image, ${s.leftOut.failedReports.toLocaleString('en')} reports that could not be read.

## Splits

${s.splitBy === 'given' ? 'As they came with the images; checked that no patient is on two sides.' : 'By patient, from a hash of patient and seed; no patient is on two sides.'}

${table(
  ['split', 'images', 'reports', 'patients'],
  s.splits.map((x) => [x.split, x.images, x.reports, x.patients]),
)}

## Findings (by report)

${table(
  [
    'finding',
    'present',
    'uncertain',
    'absent',
    'historical',
    'conditional',
    'other',
    'not mentioned',
    'y = 1',
    'y = 0',
    'mean r',
    ...(agreement ? ['agrees with the given labels'] : []),
  ],
  s.findings.map((f) => [
    f.finding,
    ...['present', 'uncertain', 'absent', 'historical', 'conditional', 'other', 'not_mentioned'].map(
      (status) => f.statuses[status] ?? 0,
    ),
    f.positives,
    f.negatives,
    f.meanRate === null ? '–' : f.meanRate.toFixed(3),
    ...(agreement
      ? [
          f.agreement === null
            ? '–'
            : `${percent(f.agreement.equal, f.agreement.both)} of ${f.agreement.both}`,
        ]
      : []),
  ]),
)}

## How to read it

- \`dataset.parquet\`: one row per image: \`image, patient, report, split, view\`, and a column per finding: \`{status, probability, label, rate, evidence, given}\`.
- \`labels.csv\`: the same without status and evidence; columns \`<finding> y\`, \`<finding> p\`, \`<finding> r\`.
- p is the probability that the wording expresses, y = 1 where p ≥ 0.5, r = 2·min(p, 1−p): the smoothed target (1−r)·y + r/2 is p.
- Empty cells: the report does not speak of the finding. That is not a negative.

## Limits

- Labels come from text. What a radiologist did not write is not there, and words are not the truth: p says how sure the writing is, not how often it is right.
- Probabilities of hedges come from a published ranking of 42 phrases and from neighbours placed beside it; they are the same for all findings and writers.
- The table holds words of reports (evidence). It falls under the terms of the reports it was made from.
`;
}
