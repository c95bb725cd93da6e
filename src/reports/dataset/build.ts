import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { lackText } from '../../data/lacking.ts';
import type { LabelErrors } from '../../data/targets.ts';
import { SPLIT_NAMES } from '../../data/types.ts';
import { ViewFilter } from '../../data/views.ts';
import { sqlText } from '../../duckdb.ts';
import { PenumbraError } from '../../errors.ts';
import { removeFromDraft, shapeOf, spreadsheetCellSql, writeFolder, writeWhole } from '../../files/index.ts';
import { type FindingSet, findingSet } from '../findings/findings.ts';
import { reportKeySql, rowsSql } from '../io/rows-in.ts';
import { type Run, type Tables, withDuckDB } from '../io/tables.ts';
import { defaultLexicon, type Lexicon } from '../lexicon/lexicon.ts';
import { type RatePolicy, rateSql, wordingRates } from '../rate.ts';
import { dataCard } from './card.ts';
import { mergeReadings } from './consensus.ts';
import { type HedgePolicy, hardenHedges, recalibrateHedges } from './hedging.ts';
import { datasetPage } from './page.ts';
import { type RowPolicies, rowKind, rowKinds, settlePolicies } from './policy.ts';
import { type ImageColumns, readImages } from './sources.ts';
import { assignSplits } from './splits.ts';
import type { DatasetStep, DatasetSummary } from './summary.ts';

export interface BuildOptions {
  /** Rows of `extract`: `.jsonl` (one or several, as the shards wrote them) or `.parquet`. */
  rows: readonly string[];
  /** MIMIC-CXR-JPG's folder, CheXpert's CSV, or a table of images. */
  images: string;
  columns?: ImageColumns;
  /** The folder that the paths of images are relative to. Default: MIMIC's `files`' own, or the table's. */
  root?: string;
  findings?: FindingSet;
  lexicon?: Lexicon;
  /** Shares of the patients where the images come without splits; default 0.1 and 0.1. */
  val?: number;
  test?: number;
  seed?: number;
  /** Split by patient here, whatever splits the images come with. */
  resplit?: boolean;
  /** Phrases as they stand in the evidence: patients whose reports hedge with one of them make the test split. */
  holdOutHedges?: readonly string[];
  /** What is done with unverified, disagreeing and failed rows. */
  policies?: RowPolicies;
  /** Only images of these views: `frontal`, `lateral`, or as the tables spell them (`PA`, `AP`). Default: all. */
  views?: readonly string[];
  /** Images whose report speaks of no finding: all their labels are unknown. Default `keep`. */
  silent?: 'keep' | 'drop';
  /** Only the rows of this extractor, where the files hold those of several. */
  extractor?: string;
  /** How often labels are wrong, by finding: kept with the data, for objectives that correct for it. */
  errors?: Readonly<Record<string, LabelErrors>>;
  /** What is done with the hedges of each finding; default: they are taken as they are written. */
  hedging?: Readonly<Record<string, HedgePolicy>>;
  overwrite?: boolean;
  onStep?: (what: string) => void;
}

/**
 * Joins the rows of reports with images into a data set:
 *
 * - `dataset.parquet`: one row per image: `image, patient, report, split, view`, and a column per finding with
 *   `{status, probability, label, rate, deviation, masked, evidence, given}`;
 * - `labels.csv`: the same for programs that read text: `image, patient, report, split`, then `y`, `p` and `r` of each
 *   finding;
 * - `dataset.json`, `README.md` (the data card) and `report.html` (charts; opens without a network).
 *
 * All of it appears at once (a folder beside it is renamed at the end), so an interrupted build leaves nothing behind
 * that could be taken for a data set. The same input gives the same version,
 * which covers statuses, evidence and the sentences around it, and the same bytes of `labels.csv`.
 * @throws PenumbraError `dataset/…` for input that does not fit together.
 */
export async function buildDataset(out: string, options: BuildOptions): Promise<DatasetSummary> {
  const { columns = {}, seed = 0, val = 0.1, test = 0.1 } = options;
  const step = options.onStep ?? (() => {});
  const { findings } = options.findings ?? findingSet();
  const policies = settlePolicies(options.policies);
  const { errors, hedging } = options;
  const hedges = options.holdOutHedges ?? [];
  if (!(val >= 0 && test >= 0 && val + test < 1)) {
    throw new PenumbraError(
      'dataset/shares',
      `Shares of ${val} for validation and ${test} for testing leave nothing to train on.`,
      { hint: 'Give shares of the patients that add up to less than 1, such as 0.1 and 0.2.' },
    );
  }
  for (const rows of options.rows) {
    if (!existsSync(rows)) {
      throw new PenumbraError('dataset/rows', `There is nothing at ${rows}.`, {
        hint: 'Give the output of penumbra extract.',
        where: { file: rows },
      });
    }
  }
  const inputs = [...options.rows, options.images];
  const { overwrite = false } = options;
  return await writeFolder(out, { kind: 'dataset', inputs, overwrite }, async (draft) => {
    const summary = await withDuckDB(
      async (tables) => {
        const { run } = tables;
        await run(`SET temp_directory = ${sqlText(join(draft, 'spill'))}`);
        step('reading rows');
        const extractors = await loadRows(tables, options.rows, options.extractor);
        await checkFindings(run, options.findings ?? findingSet());
        const rowCounts = await applyPolicies(run, policies, hedging ?? {});
        step('reading images');
        const images = await readImages(tables, options.images, columns);
        step('joining');
        const steps: DatasetStep[] = [await countStep(run, 'in the tables of images', 'images')];
        const imagesOfOtherViews = await onlyViews(run, options.views, options.images, steps);
        const shared = await mergeReadings(run);
        await hardenHedges(run, hedging ?? {});
        const leftOut = {
          imagesOfOtherViews,
          ...(await joinImages(run, policies, options.silent ?? 'keep', options.images, steps)),
        };
        const givenSplits = images.givenSplits && options.resplit !== true && hedges.length === 0;
        const notes = await assignSplits(run, { val, test, seed, given: givenSplits, hedges });
        if (shared > 0)
          notes.push(`${shared} images have several reports: their probabilities are means over those`);
        notes.push(...(await lackingPositives(run, findings)));
        step('writing');
        await write(run, draft, findings);
        const counts = await figures(run, findings, options.lexicon ?? defaultLexicon());
        const version = await versionOf(run, findings, { rates: wordingRates, errors, hedging });
        return {
          version,
          name: out.split(/[\\/]/).filter(Boolean).at(-1) ?? out,
          source: images.kind,
          imageRoot:
            relative(resolve(out), resolve(options.root ?? images.root))
              .split(sep)
              .join('/') || '.',
          files: [...options.rows, ...images.files].map((file) => ({
            file: file.split(/[\\/]/).at(-1)!,
            bytes: statSync(file).size,
          })),
          extractors,
          steps,
          leftOut,
          splitBy: givenSplits
            ? ('given' as const)
            : hedges.length > 0
              ? ('hedges' as const)
              : ('patients' as const),
          hedgesHeldOut: hedges,
          policies,
          rowCounts,
          rates: wordingRates,
          ...(errors && { errors }),
          ...(hedging && { hedging }),
          notes,
          ...counts,
        };
      },
      { memory: '4GB' },
    );
    removeFromDraft(join(draft, 'spill'));
    writeWhole(join(draft, 'dataset.json'), `${JSON.stringify(summary, null, 2)}\n`);
    writeWhole(join(draft, 'README.md'), dataCard(summary));
    writeWhole(join(draft, 'report.html'), datasetPage(summary));
    return summary;
  });
}

/** Table `rows` (one per report and finding), of one extractor. Ids are those of the images' side (`reportKey`). */
async function loadRows(
  { run, source }: Tables,
  paths: readonly string[],
  extractor: string | undefined,
): Promise<{ extractor: string; version: string }[]> {
  try {
    await run(
      `CREATE TABLE rows AS SELECT * EXCLUDE (id), ${reportKeySql} AS report FROM (${rowsSql(source, paths)})`,
    );
  } catch {
    throw new PenumbraError('dataset/rows', `${paths.join(', ')} cannot be read as rows of extract.`, {
      hint: 'Was extract finished? A .jsonl output that was interrupted ends in a torn line: run extract again first.',
    });
  }
  if (extractor !== undefined) {
    const names = (await run('SELECT DISTINCT extractor FROM rows ORDER BY ALL')).map(([name]) =>
      String(name),
    );
    if (!names.includes(extractor)) {
      throw new PenumbraError('dataset/rows', `The rows hold none of the extractor "${extractor}".`, {
        hint: `They are by ${names.join(', ')}.`,
      });
    }
    await run(`DELETE FROM rows WHERE extractor <> ${sqlText(extractor)}`);
  }
  const twice = await run(
    'SELECT count(*) FROM (SELECT 1 FROM rows GROUP BY report, finding HAVING count(*) > 1)',
  );
  if (Number(twice[0]![0]) > 0) {
    throw new PenumbraError(
      'dataset/rows',
      `${twice[0]![0]} pairs of report and finding are there more than once.`,
      {
        hint: 'Was one shard given twice, or do two files hold rows of different configurations?',
      },
    );
  }
  const kinds = (await run('SELECT DISTINCT extractor, version FROM rows ORDER BY ALL')) as [
    string,
    string,
  ][];
  if (kinds.length > 1) {
    throw new PenumbraError(
      'dataset/rows',
      `The rows come from ${kinds.length} configurations: ${kinds.map((k) => k.join(' ')).join(', ')}.`,
      {
        hint: 'Extract all reports with one configuration, or choose one extractor with --extractor.',
      },
    );
  }
  return kinds.map(([extractor, version]) => ({ extractor, version }));
}

/** The rows must be of this set: a data set of empty columns is worse than none. */
async function checkFindings(run: Run, set: FindingSet): Promise<void> {
  const there = (await run("SELECT DISTINCT finding FROM rows WHERE finding <> '' ORDER BY ALL")).map(([f]) =>
    String(f),
  );
  const full = Number(
    (await run("SELECT count(*) FROM rows WHERE status = 'not_mentioned' AND finding <> ''"))[0]![0],
  );
  const foreign = there.filter((finding) => !set.findings.includes(finding));
  // Rows of mentioned findings alone may lack some.
  const lacking = full > 0 ? set.findings.filter((finding) => !there.includes(finding)) : [];
  if (foreign.length === 0 && lacking.length === 0) return;
  const what =
    foreign.length > 0
      ? `the set lacks ${foreign.slice(0, 5).join(', ')}`
      : `they lack ${lacking.slice(0, 5).join(', ')}`;
  throw new PenumbraError('dataset/findings', `The rows are not of the findings ${set.name}: ${what}.`, {
    hint: 'Give --findings and --extend-findings as they were given to extract.',
  });
}

/** Masks what is to be masked, sets the rates, and counts the rows of every kind. Adds the column `kind` to `rows`. */
async function applyPolicies(
  run: Run,
  policies: Required<RowPolicies>,
  hedging: Readonly<Record<string, HedgePolicy>>,
): Promise<DatasetSummary['rowCounts']> {
  await run(`CREATE OR REPLACE TABLE rows AS SELECT *, ${rowKind} AS kind FROM rows`);
  const masked = rowKinds.filter((kind) => kind !== 'stable' && policies[kind] !== 'keep').map(sqlText);
  const counted = await run(
    'SELECT kind, count(*), count(*) FILTER (WHERE label = 1), count(*) FILTER (WHERE label = 0) FROM rows GROUP BY kind',
  );
  if (masked.length > 0) {
    await run(
      `UPDATE rows SET probability = NULL, deviation = NULL, label = NULL, rate = NULL WHERE kind IN (${masked.join(', ')})`,
    );
  }
  await run('ALTER TABLE rows ADD COLUMN masked VARCHAR');
  await run(`UPDATE rows SET masked = kind WHERE kind IN (${["'stable'", ...masked].join(', ')})`);
  await recalibrateHedges(run, hedging);
  await run(`UPDATE rows SET rate = ${rateSql('probability')} WHERE probability IS NOT NULL`);
  return Object.fromEntries(
    rowKinds.map((kind) => {
      const row = counted.find(([name]) => name === kind);
      return [kind, { rows: Number(row?.[1] ?? 0), y1: Number(row?.[2] ?? 0), y0: Number(row?.[3] ?? 0) }];
    }),
  ) as DatasetSummary['rowCounts'];
}

/** How many images, reports and patients a table has. */
async function countStep(run: Run, step: string, table: string): Promise<DatasetStep> {
  const [row] = await run(`SELECT count(*), count(DISTINCT report), count(DISTINCT patient) FROM ${table}`);
  const [images, reports, patients] = row!.map(Number) as [number, number, number];
  return { step, images, reports, patients };
}

/** Leaves images of other views out of the table `images`. @returns how many */
async function onlyViews(
  run: Run,
  views: readonly string[] | undefined,
  source: string,
  steps: DatasetStep[],
): Promise<number> {
  if (views === undefined) return 0;
  const filter = new ViewFilter(views);
  const spelled = (await run("SELECT DISTINCT coalesce(view, '') FROM images ORDER BY ALL")).map(([view]) =>
    String(view),
  );
  const wanted = spelled.filter((view) => filter.has(view));
  filter.check(source);
  await run(`DELETE FROM images WHERE coalesce(view, '') NOT IN (${wanted.map(sqlText).join(', ')})`);
  const before = steps.at(-1)!.images;
  steps.push(await countStep(run, `of the views ${views.join(', ')}`, 'images'));
  return before - steps.at(-1)!.images;
}

/** Table `joined`: images that have a report. */
async function joinImages(
  run: Run,
  policies: Required<RowPolicies>,
  silent: 'keep' | 'drop',
  source: string,
  steps: DatasetStep[],
): Promise<Omit<DatasetSummary['leftOut'], 'imagesOfOtherViews'>> {
  const dropped = rowKinds.filter(
    (kind) => kind !== 'stable' && kind !== 'failed' && policies[kind] === 'drop',
  );
  const drop = dropped.length === 0 ? 'false' : `bool_or(kind IN (${dropped.map(sqlText).join(', ')}))`;
  await run(`CREATE TABLE reports AS SELECT report, bool_or(kind = 'failed' AND finding = '') AS unread,
      ${policies.failed === 'drop' ? "bool_or(kind = 'failed' AND finding = '')" : 'false'} OR ${drop} AS failed, bool_and(status = 'not_mentioned') AS silent FROM rows GROUP BY report`);
  const joined = (where: string) =>
    `SELECT i.* FROM images i JOIN reports r ON i.report = r.report WHERE ${where}`;
  steps.push(await countStep(run, 'with a report among the rows', `(${joined('true')})`));
  const kept = silent === 'drop' ? 'NOT r.failed AND NOT r.silent' : 'NOT r.failed';
  await run(`CREATE TABLE joined AS ${joined(kept)}`);
  steps.push(await countStep(run, 'whose report could be read and is kept', `(${joined('NOT r.failed')})`));
  if (silent === 'drop') steps.push(await countStep(run, 'whose report speaks of a finding', 'joined'));
  const one = async (sql: string): Promise<number> => Number((await run(sql))[0]![0]);
  const leftOut = {
    imagesWithoutReport: await one(
      'SELECT count(*) FROM images i ANTI JOIN reports r ON i.report = r.report',
    ),
    reportsWithoutImage: await one(
      'SELECT count(*) FROM reports r ANTI JOIN images i ON i.report = r.report',
    ),
    failedReports: await one('SELECT count(*) FROM reports WHERE unread AND failed'),
    droppedReports: await one('SELECT count(*) FROM reports WHERE failed AND NOT unread'),
    silentReports: silent === 'drop' ? steps.at(-2)!.reports - steps.at(-1)!.reports : 0,
  };
  if ((await one('SELECT count(*) FROM joined')) === 0) {
    const [image] = (await run('SELECT report FROM images WHERE report IS NOT NULL LIMIT 1')) as [string][];
    const [report] = (await run('SELECT report FROM reports LIMIT 1')) as [string][];
    throw new PenumbraError('dataset/join', 'No image has a report among the rows.', {
      hint: `Ids of reports have the form "${shapeOf(report?.[0] ?? '')}" in the rows and "${shapeOf(image?.[0] ?? '')}" in the images (a for a letter, 9 for a digit). Name the right columns.`,
    });
  }
  const lonely = await one("SELECT count(*) FROM joined WHERE patient IS NULL OR patient = ''");
  if (lonely > 0)
    throw new PenumbraError(
      'dataset/patients',
      `${lonely} images have no patient, so they cannot be split by patient.`,
    );
  const doubles = await one('SELECT count(*) FROM (SELECT 1 FROM joined GROUP BY image HAVING count(*) > 1)');
  if (doubles > 0) throw await repeated(run, doubles, source);
  return leftOut;
}

/**
 * The findings of which a split has no positive, a sentence a split. Of negatives nothing can be said here: how blanks are
 * read is decided when the data set is opened.
 */
async function lackingPositives(run: Run, findings: readonly string[]): Promise<string[]> {
  const counted = await run(
    'SELECT j.split, r.finding, count(*) FROM joined j JOIN rows r ON r.report = j.report WHERE r.label = 1 GROUP BY ALL',
  );
  const there = new Set(counted.map(([split, finding]) => `${split} ${finding}`));
  const splits = (await run('SELECT DISTINCT split FROM joined')).map(([split]) => split);
  return SPLIT_NAMES.filter((split) => splits.includes(split)).flatMap((split) => {
    const lacking = findings.filter((finding) => !there.has(`${split} ${finding}`));
    return lacking.length === 0 ? [] : [lackText({ split, what: 'positive', findings: lacking })];
  });
}

/** Images that several rows list, by the rows' numbers: a file name may be a patient's. */
async function repeated(run: Run, images: number, source: string): Promise<PenumbraError> {
  const listed = `SELECT i.row FROM images i JOIN (SELECT image FROM joined GROUP BY image HAVING count(*) > 1) d ON i.image = d.image
      WHERE i.row IS NOT NULL ORDER BY i.image, i.row LIMIT 20`;
  const rows = (await run(listed)).map(([row]) => Number(row));
  const where = rows.length === 0 ? '' : `: rows ${rows.join(', ')} below the header`;
  return new PenumbraError(
    'dataset/images',
    `${source} lists ${images === 1 ? 'an image' : `${images} images`} more than once${where}`,
    {
      where: { file: source, rows: rows.join(', ') },
      hint: 'leave one row for each: under two patients an image would stand on both sides of a split. Several readings of one image are ids in one field: r1|r2',
    },
  );
}

async function write(run: Run, draft: string, findings: readonly string[]): Promise<void> {
  const name = (finding: string): string => `"${finding.replaceAll('"', '""')}"`;
  const one = (finding: string): string =>
    `any_value({status: r.status, probability: r.probability, label: r.label, rate: r.rate, deviation: r.deviation, masked: r.masked, evidence: r.evidence, given: g.value}) FILTER (WHERE r.finding = ${sqlText(finding)}) AS ${name(finding)}`;
  await run(`CREATE TABLE wide AS SELECT r.report, ${findings.map(one).join(', ')}
    FROM rows r LEFT JOIN given g ON g.report = r.report AND g.finding = r.finding
    WHERE r.report IN (SELECT report FROM joined) GROUP BY r.report`);
  await run(`COPY (SELECT j.image, j.patient, j.report, j.split, j.view, w.* EXCLUDE (report) FROM joined j LEFT JOIN wide w ON j.report = w.report ORDER BY j.image)
    TO ${sqlText(join(draft, 'dataset.parquet'))} (FORMAT parquet, COMPRESSION zstd)`);
  // People open this one in a spreadsheet; the Parquet file holds the texts as they are.
  const cells = ['image', 'patient', 'report'].map((of) => `${spreadsheetCellSql(`j.${of}`)} AS ${of}`);
  const labels = findings.flatMap((finding) => [
    `w.${name(finding)}.label AS ${name(`${finding} y`)}`,
    `w.${name(finding)}.probability AS ${name(`${finding} p`)}`,
    `w.${name(finding)}.rate AS ${name(`${finding} r`)}`,
  ]);
  await run(`COPY (SELECT ${cells.join(', ')}, j.split, ${labels.join(', ')} FROM joined j LEFT JOIN wide w ON j.report = w.report ORDER BY j.image)
    TO ${sqlText(join(draft, 'labels.csv'))} (FORMAT csv, HEADER true)`);
}

async function figures(
  run: Run,
  findings: readonly string[],
  lexicon: Lexicon,
): Promise<Pick<DatasetSummary, 'images' | 'reports' | 'patients' | 'splits' | 'findings' | 'hedges'>> {
  const [total] = await run('SELECT count(*), count(DISTINCT report), count(DISTINCT patient) FROM joined');
  const splits = await run(
    "SELECT split, count(*), count(DISTINCT report), count(DISTINCT patient) FROM joined GROUP BY split ORDER BY array_position(['train', 'val', 'test'], split)",
  );
  const used = '(SELECT * FROM rows WHERE report IN (SELECT report FROM joined))';
  const statuses = await run(`SELECT finding, status, count(*) FROM ${used} GROUP BY ALL ORDER BY ALL`);
  const bins = await run(
    `SELECT finding, least(9, floor(probability * 10))::INTEGER, count(*) FROM ${used} WHERE probability IS NOT NULL GROUP BY ALL`,
  );
  const labels = await run(
    `SELECT finding, count(*) FILTER (WHERE label = 1), count(*) FILTER (WHERE label = 0), avg(rate) FROM ${used} GROUP BY finding`,
  );
  const agreement =
    await run(`SELECT r.finding, count(*), count(*) FILTER (WHERE CASE g.value WHEN -1 THEN r.status = 'uncertain' WHEN 1 THEN r.status = 'present' ELSE r.status = 'absent' END)
    FROM ${used} r JOIN given g ON g.report = r.report AND g.finding = r.finding WHERE r.status IN ('present', 'absent', 'uncertain') GROUP BY r.finding`);
  const words = await run(
    `SELECT lower(regexp_replace(e.phrase, '\\s+', ' ', 'g')) AS phrase, count(*) AS n FROM (SELECT unnest(evidence) AS e FROM ${used} WHERE status = 'uncertain') GROUP BY phrase ORDER BY n DESC, phrase`,
  );
  const hedges = new Map<string, number | null>();
  for (const entry of lexicon.entries) {
    if (entry.kind !== 'hedge') continue;
    for (const phrase of entry.phrases) if (!hedges.has(phrase)) hedges.set(phrase, entry.probability);
  }
  const of = (rows: unknown[][], finding: string): unknown[] | undefined => rows.find(([f]) => f === finding);
  return {
    images: Number(total![0]),
    reports: Number(total![1]),
    patients: Number(total![2]),
    splits: splits.map(([split, images, reports, patients]) => ({
      split: String(split),
      images: Number(images),
      reports: Number(reports),
      patients: Number(patients),
    })),
    findings: findings.map((finding) => {
      const histogram = new Array<number>(10).fill(0);
      for (const [f, bin, n] of bins) if (f === finding) histogram[Number(bin)] = Number(n);
      const label = of(labels, finding);
      const agree = of(agreement, finding);
      return {
        finding,
        statuses: Object.fromEntries(
          statuses.filter(([f]) => f === finding).map(([, status, n]) => [String(status), Number(n)]),
        ),
        histogram,
        positives: Number(label?.[1] ?? 0),
        negatives: Number(label?.[2] ?? 0),
        meanRate: label?.[3] == null ? null : Number(label[3]),
        agreement: agree === undefined ? null : { both: Number(agree[1]), equal: Number(agree[2]) },
      };
    }),
    hedges: words
      .map(([phrase, n]) => ({
        phrase: String(phrase),
        count: Number(n),
        probability: hedges.get(String(phrase)) ?? null,
      }))
      .filter(({ phrase }) => hedges.has(phrase)),
  };
}

/** A hash of all that the data set says of its images: splits, statuses, numbers, evidence and its sentences. */
async function versionOf(
  run: Run,
  findings: readonly string[],
  settings: Pick<BuildOptions, 'errors' | 'hedging'> & { rates: RatePolicy },
): Promise<string> {
  const rows = await run(
    `SELECT sha256(string_agg(hash, '' ORDER BY image)) FROM (
       SELECT j.image, sha256(concat_ws(chr(31), j.image, j.patient, j.report, j.split, CAST(w AS VARCHAR))) AS hash
       FROM joined j LEFT JOIN wide w ON j.report = w.report)`,
  );
  const hash = createHash('sha256').update(String(rows[0]![0]));
  return hash
    .update(JSON.stringify([findings, settings.rates, settings.errors, settings.hedging]))
    .digest('hex')
    .slice(0, 16);
}
