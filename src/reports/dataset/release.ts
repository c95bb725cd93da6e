import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { sqlText } from '../../duckdb.ts';
import { PenumbraError } from '../../errors.ts';
import { readRegular, writeFolder, writeWhole } from '../../files/index.ts';
import { type FindingSet, findingSet } from '../findings/findings.ts';
import { type Run, withDuckDB } from '../io/tables.ts';
import { defaultLexicon, type Lexicon, wordClasses } from '../lexicon/lexicon.ts';
import { releaseCard } from './card.ts';
import type { DatasetSummary } from './summary.ts';

export interface ReleaseOptions {
  /** The findings that the rows were extracted with: their words count as ours. Default `chexpert14`. */
  readonly findings?: FindingSet;
  /** The lexicon that they were extracted with. */
  readonly lexicon?: Lexicon;
  readonly overwrite?: boolean;
}

/** What was released, and what was held back. */
export interface ReleaseSummary {
  /** Of the data set that it was made from. */
  readonly version: string;
  readonly images: number;
  readonly reports: number;
  /** Places in reports that carry a judgement. */
  readonly places: number;
  readonly words: { readonly all: number; readonly used: number };
  /** Places whose words are not of the word database: counted, never written. */
  readonly otherPlaces: number;
}

/**
 * What a data set of `buildDataset` may give to others who have the reports themselves: numbers, and no text.
 *
 * - `words.csv`, the word database: every phrase of the lexicon and of the findings with its probability, and how many
 *   reports are judged by it, by what they then say.
 * - `rates.csv` and `rates.parquet`: a row per image: ids, split, and y, p and r of each finding (`penumbra train`
 *   opens the first as a table).
 * - `evidence.csv`: report, finding, status, section, and where the words stand (UTF-16 offsets), without the words.
 * - `release.json` and `README.md`, the data card.
 *
 * Only words that this package or the given files hold are ever written, labels that came with the images are not, and
 * ids are those of the data set.
 * @throws PenumbraError `dataset/release` for what is no built data set
 */
export async function releaseDataset(
  built: string,
  out: string,
  options: ReleaseOptions = {},
): Promise<ReleaseSummary> {
  const { findings = findingSet(), lexicon = defaultLexicon(), overwrite = false } = options;
  const summary = readSummary(built);
  const parquet = join(built, 'dataset.parquet');
  return await writeFolder(out, { kind: 'dataset-release', inputs: [built], overwrite }, async (draft) => {
    const released = await withDuckDB(async ({ run, source }) => {
      await loadRows(run, source(parquet), summary);
      await writeRates(run, source(parquet), summary, draft);
      return { ...(await writeEvidence(run, draft)), ...(await writeWords(run, draft, findings, lexicon)) };
    });
    const { version, images, reports } = summary;
    const result: ReleaseSummary = { version, images, reports, ...released };
    writeWhole(join(draft, 'release.json'), `${JSON.stringify(result, null, 2)}\n`);
    writeWhole(join(draft, 'README.md'), releaseCard(summary, result));
    return result;
  });
}

function readSummary(built: string): DatasetSummary {
  const file = join(built, 'dataset.json');
  const fail = (what: string, cause?: unknown): never => {
    throw new PenumbraError(
      'dataset/release',
      `${built} is no data set of penumbra dataset build: ${what}.`,
      {
        hint: 'Give the folder that dataset build wrote with --out.',
        where: { file: built },
        ...(cause !== undefined && { cause }),
      },
    );
  };
  for (const name of ['dataset.json', 'dataset.parquet'])
    if (!existsSync(join(built, name))) fail(`it has no ${name}`);
  try {
    const summary = JSON.parse(readRegular(file).toString('utf8')) as DatasetSummary;
    if (typeof summary.version === 'string' && Array.isArray(summary.findings)) return summary;
  } catch (cause) {
    fail('its dataset.json cannot be read', cause);
  }
  return fail('its dataset.json is of something else');
}

const quoted = (column: string): string => `"${column.replaceAll('"', '""')}"`;

/** Table `places(report, finding, status, section, start, end, phrase)`: one row per report, finding and piece of evidence. */
async function loadRows(run: Run, source: string, { findings }: DatasetSummary): Promise<void> {
  await run(
    'CREATE TABLE places (report VARCHAR, finding VARCHAR, status VARCHAR, section VARCHAR, "start" BIGINT, "end" BIGINT, phrase VARCHAR)',
  );
  for (const { finding } of findings) {
    const column = quoted(finding);
    await run(`INSERT INTO places SELECT report, ${sqlText(finding)}, status, e.section, e."start", e."end",
        lower(regexp_replace(trim(e.phrase), '\\s+', ' ', 'g'))
      FROM (SELECT report, any_value(${column}.status) AS status, unnest(any_value(${column}.evidence)) AS e
        FROM read_parquet(${source}) WHERE ${column} IS NOT NULL GROUP BY report)`);
  }
}

async function writeRates(
  run: Run,
  source: string,
  { findings }: DatasetSummary,
  draft: string,
): Promise<void> {
  const columns = findings.flatMap(({ finding }) =>
    (
      [
        ['y', 'label'],
        ['p', 'probability'],
        ['r', 'rate'],
      ] as const
    ).map(([short, field]) => `${quoted(finding)}.${field} AS ${quoted(`${finding} ${short}`)}`),
  );
  const rates = `SELECT image, patient, report, split, ${columns.join(', ')} FROM read_parquet(${source}) ORDER BY image`;
  await run(`COPY (${rates}) TO ${sqlText(join(draft, 'rates.parquet'))} (FORMAT parquet, COMPRESSION zstd)`);
  await run(`COPY (${rates}) TO ${sqlText(join(draft, 'rates.csv'))} (FORMAT csv, HEADER true)`);
}

async function writeEvidence(run: Run, draft: string): Promise<{ places: number }> {
  const counted = await run(
    `COPY (SELECT report, finding, status, section, "start", "end" FROM places ORDER BY ALL) TO ${sqlText(join(draft, 'evidence.csv'))} (FORMAT csv, HEADER true)`,
  );
  return { places: Number(counted[0]?.[0] ?? 0) };
}

/** One phrase of the word database. */
interface Word {
  readonly phrase: string;
  readonly kind: string;
  readonly finding: string;
  readonly probability: number | null;
  readonly deviation: number | null;
  readonly source: string;
}

/** The phrases that are ours: what judges, and what names findings. Of a phrase that is there twice, the first. */
function wordsOf(findings: FindingSet, lexicon: Lexicon): Word[] {
  const words = new Map<string, Word>();
  const add = (word: Word) => {
    const phrase = word.phrase.toLowerCase();
    if (!words.has(phrase)) words.set(phrase, { ...word, phrase });
  };
  for (const { kind, phrases, probability, deviation, source } of lexicon.entries)
    if (!wordClasses.includes(kind))
      for (const phrase of phrases) add({ phrase, kind, finding: '', probability, deviation, source });
  for (const { role, finding, phrases } of findings.phrases)
    for (const phrase of phrases)
      add({ phrase, kind: role, finding, probability: null, deviation: null, source: '' });
  return [...words.values()];
}

async function writeWords(
  run: Run,
  draft: string,
  findings: FindingSet,
  lexicon: Lexicon,
): Promise<Pick<ReleaseSummary, 'words' | 'otherPlaces'>> {
  const words = wordsOf(findings, lexicon);
  await run(
    'CREATE TABLE words (phrase VARCHAR, kind VARCHAR, finding VARCHAR, probability DOUBLE, deviation DOUBLE, source VARCHAR)',
  );
  const number = (value: number | null) => (value === null ? 'NULL' : String(value));
  for (let i = 0; i < words.length; i += 5000) {
    const values = words
      .slice(i, i + 5000)
      .map(
        ({ phrase, kind, finding, probability, deviation, source }) =>
          `(${[phrase, kind, finding].map(sqlText).join(', ')}, ${number(probability)}, ${number(deviation)}, ${sqlText(source)})`,
      );
    await run(`INSERT INTO words VALUES ${values.join(',')}`);
  }
  const count = (status: string) =>
    `count(DISTINCT p.report) FILTER (WHERE p.status = '${status}') AS ${status}`;
  await run(`CREATE TABLE counted AS SELECT w.*, count(DISTINCT p.report) AS reports, ${count('present')}, ${count('absent')}, ${count('uncertain')}
    FROM words w LEFT JOIN places p ON p.phrase = w.phrase GROUP BY ALL`);
  await run(
    `COPY (SELECT * FROM counted ORDER BY reports DESC, phrase) TO ${sqlText(join(draft, 'words.csv'))} (FORMAT csv, HEADER true)`,
  );
  const one = async (sql: string) => Number((await run(sql))[0]![0]);
  return {
    words: { all: words.length, used: await one('SELECT count(*) FROM counted WHERE reports > 0') },
    otherPlaces: await one('SELECT count(*) FROM places p ANTI JOIN words w ON p.phrase = w.phrase'),
  };
}
