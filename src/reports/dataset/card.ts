import type { HedgePolicy } from './hedging.ts';
import type { ReleaseSummary } from './release.ts';
import type { DatasetSummary } from './summary.ts';

const sources = {
  'mimic-cxr-jpg': 'MIMIC-CXR-JPG (metadata, split and chexpert tables)',
  chexpert: 'CheXpert (its CSV)',
  table: 'a table of images',
} as const;

const percent = (part: number, whole: number): string =>
  whole === 0 ? '–' : `${((100 * part) / whole).toFixed(1)} %`;

const table = (header: string[], rows: (string | number)[][]): string =>
  [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

/** How p became r, in words. */
function rateText({ rates }: DatasetSummary): string {
  return `The rate r is by the policy \`${rates.name}\`, version ${rates.version}: r = 2·min(p, 1−p), so the smoothed target (1−r)·y + r/2 is p.`;
}

/** The card of what is given to others: numbers, and no text. */
export function releaseCard(s: DatasetSummary, released: ReleaseSummary): string {
  const n = (value: number) => value.toLocaleString('en');
  return `# ${s.name}: rates and words, without reports

What reports say of ${n(released.images)} chest images of ${n(released.reports)} reports, as numbers: made by \`penumbra dataset release\` from the data set of version \`${released.version}\`. It holds no word of any report but those of the word database, which are the same for every report.

## Files

- \`words.csv\`: the word database, ${n(released.words.all)} phrases: \`phrase, kind, finding, probability, deviation, source\`, and how many reports are judged by each (\`reports\`, and of these \`present\`, \`absent\`, \`uncertain\`). ${n(released.words.used)} of them occur.
- \`rates.csv\`, \`rates.parquet\`: one row per image: \`image, patient, report, split\`, and \`<finding> y\`, \`<finding> p\`, \`<finding> r\` of each finding. Empty: the report does not speak of it, or its row was masked; that is no negative.
- \`evidence.csv\`: ${n(released.places)} places: \`report, finding, status, section, start, end\`. Offsets are UTF-16, into the report's text, or into that section's where it came in fields: whoever has the reports finds the words. Of an image with several reports (\`a|b\`) a place is in one of them.
- \`release.json\`: the numbers of this page.

## How it was made

- Images: ${sources[s.source]}. Extractor: ${s.extractors.map((e) => `${e.extractor} (version ${e.version})`).join(', ')}.
- p is the probability that the wording expresses, y = 1 where p ≥ 0.5. ${rateText(s)}${auditNote(s)}

${table(
  ['images', 'left', 'reports', 'patients'],
  (s.steps ?? []).map((one) => [one.step, n(one.images), n(one.reports), n(one.patients)]),
)}

${table(
  ['split', 'images', 'reports', 'patients'],
  s.splits.map((x) => [x.split, n(x.images), n(x.reports), n(x.patients)]),
)}

## What was held back

- The reports, their sentences, and the words of ${n(released.otherPlaces)} places that are not of the word database (a language model's quotations among them).
- Labels that came with the images.

## Limits

- Ids are those of the images, patients and reports that it was made from. Those of a research archive mean nothing without it; ids of a hospital may be a person's: replace them before anybody else gets them.
- What is derived from reports may fall under their terms, also without a word of them: ask whoever gave you the reports.
- Labels come from text. p says how sure the writing is, not how often it is right.
`;
}

/** The data card: what the data set is, what is in it, and what it must not be taken for. */
export function dataCard(s: DatasetSummary): string {
  const extractor = s.extractors.map((e) => `${e.extractor} (version ${e.version})`).join(', ');
  const agreement = s.findings.some((f) => f.agreement !== null);
  return `# ${s.name}

Chest images with findings, probabilities and evidence from their reports. Version \`${s.version}\` (SHA-256 of what is said of the images: labels, statuses, evidence and its sentences; first 16 digits).

## What it is made of

- Images: ${sources[s.source]}. Reports: rows of \`penumbra extract\`, extractor ${extractor}.
- Files: ${s.files.map((f) => `\`${f.file}\` (${f.bytes.toLocaleString('en')} bytes)`).join(', ')}.
- ${s.images.toLocaleString('en')} images of ${s.reports.toLocaleString('en')} reports and ${s.patients.toLocaleString('en')} patients.

${table(
  ['images', 'left', 'reports', 'patients'],
  s.steps.map((one) => [
    one.step,
    ...[one.images, one.reports, one.patients].map((x) => x.toLocaleString('en')),
  ]),
)}

Left out: ${s.leftOut.imagesWithoutReport.toLocaleString('en')} images without a report, ${s.leftOut.reportsWithoutImage.toLocaleString('en')} reports without an image, ${s.leftOut.failedReports.toLocaleString('en')} reports that could not be read${s.leftOut.imagesOfOtherViews > 0 ? `, ${s.leftOut.imagesOfOtherViews.toLocaleString('en')} images of other views` : ''}${s.leftOut.silentReports > 0 ? `, ${s.leftOut.silentReports.toLocaleString('en')} reports that speak of no finding` : ''}${s.leftOut.droppedReports > 0 ? `, ${s.leftOut.droppedReports.toLocaleString('en')} reports with a row that the policies leave out` : ''}.

## Splits

${s.notes.map((note) => `Note: ${note}.\n\n`).join('')}${s.splitBy === 'hedges' ? `The test split holds the patients whose reports express doubt by ${s.hedgesHeldOut.map((phrase) => `"${phrase}"`).join(', ')}; no other split has seen these phrases. The others are split by a hash of patient and seed.` : s.splitBy === 'given' ? 'As they came with the images; checked that no patient is on two sides.' : 'By patient, from a hash of patient and seed; no patient is on two sides.'}

${table(
  ['split', 'images', 'reports', 'patients'],
  s.splits.map((x) => [x.split, x.images, x.reports, x.patients]),
)}

## Rows that are not plain

${table(
  ['kind', 'rows', 'of these y = 1', 'y = 0', 'what was done'],
  [
    ['unverified: the quotation is not in the report', s.rowCounts.unverified, s.policies.unverified],
    ['disagreeing: rules and language model', s.rowCounts.disagreeing, s.policies.disagreeing],
    ['failed: could not be read', s.rowCounts.failed, s.policies.failed],
    ['stable: masked when they were extracted', s.rowCounts.stable, 'mask'],
  ].map(([kind, n, policy]) => {
    const { rows, y1, y0 } = n as (typeof s.rowCounts)['failed'];
    return [String(kind), rows, y1, y0, String(policy)];
  }),
)}

Masked rows keep their status and evidence, and have no y, p and r.

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

- \`dataset.parquet\`: one row per image: \`image, patient, report, split, view\`, and a column per finding: \`{status, probability, label, rate, deviation, masked, evidence, given}\`.
- \`labels.csv\`: the same without status and evidence; columns \`<finding> y\`, \`<finding> p\`, \`<finding> r\`.
- p is the probability that the wording expresses, y = 1 where p ≥ 0.5. ${rateText(s)}${auditNote(s)}
- \`deviation\`: standard deviation of p from the hedge's place in the ranking. \`masked\`: why a row has no label although the report speaks of the finding.
- Empty cells: the report does not speak of the finding. That is not a negative.

## Limits

- Labels come from text. What a radiologist did not write is not there, and words are not the truth: p says how sure the writing is, not how often it is right.
- Probabilities of hedges come from a published ranking of 42 phrases and from neighbours placed beside it; they are the same for all findings and writers.
- The table holds words of reports (evidence). It falls under the terms of the reports it was made from.
`;
}

/** What an audit had the build do with hedges, and what is known of the labels' errors. */
function auditNote({ hedging = {}, errors }: DatasetSummary): string {
  const named = (of: (policy: HedgePolicy) => boolean) =>
    Object.keys(hedging)
      .filter((finding) => of(hedging[finding]!))
      .join(', ');
  const hardened = named((policy) => policy === 'as-labels');
  const recalibrated = named((policy) => typeof policy === 'object');
  const share = (e: number) => `${(100 * e).toFixed(1)} %`;
  return [
    hardened === ''
      ? ''
      : ` By an audit, hedges of ${hardened} have r = 0: the truth was not seen to follow them.`,
    recalibrated === ''
      ? ''
      : ` Of ${recalibrated} the audit recalibrated the hedges' p, y and r (\`dataset.json\`, \`hedging\`).`,
    errors === undefined
      ? ''
      : `\n- Labels are known to be wrong, for objectives that correct for it (\`forward\`, \`gls:rates=data\`): ${Object.entries(
          errors,
        )
          .map(
            ([finding, e]) =>
              `${finding} ${share(e.falsePositive)} false positives, ${share(e.miss)} misses, ${share(e.hedged)} of hedges`,
          )
          .join('; ')}.`,
  ].join('');
}
