import { sqlText } from '../../duckdb.ts';
import { PenumbraError } from '../../errors.ts';
import { hash53 } from '../io/rows-out.ts';
import type { Run } from '../io/tables.ts';

/** How images come into train, val and test. */
export interface SplitOptions {
  /** Shares of the patients. */
  readonly val: number;
  readonly test: number;
  readonly seed: number;
  /** The images' own splits are kept. */
  readonly given: boolean;
  /** Phrases whose reports, and all others of their patients, make the test split. */
  readonly hedges: readonly string[];
}

/**
 * Fills `split` of the table `joined`, and makes sure that no patient is on two sides and that something is left to train
 * on. Returns what a reader of the card should know.
 */
export async function assignSplits(run: Run, options: SplitOptions): Promise<string[]> {
  if (options.hedges.length > 0) await byHedges(run, options);
  else if (options.given) await checkGiven(run);
  else
    await byPatients(
      run,
      (u) => (u < options.test ? 'test' : u < options.test + options.val ? 'val' : 'train'),
      options,
    );
  const counts = new Map(
    (await run('SELECT split, count(DISTINCT patient) FROM joined GROUP BY split')).map(([split, n]) => [
      String(split),
      Number(n),
    ]),
  );
  const patients = [...counts.values()].reduce((a, b) => a + b, 0);
  if (!counts.has('train')) {
    throw new PenumbraError(
      'dataset/splits',
      `No image is left to train on: none of ${patients} patients is in train.`,
      {
        hint: 'Give smaller shares, another --seed, or more patients; a patient is on one side only.',
      },
    );
  }
  const wanted = { val: options.val, test: options.hedges.length > 0 ? 1 : options.test };
  return (['val', 'test'] as const)
    .filter((split) => !options.given && wanted[split] > 0 && !counts.has(split))
    .map(
      (split) => `no patient of ${patients} came into ${split}, although it has a share of ${wanted[split]}`,
    );
}

async function checkGiven(run: Run): Promise<void> {
  const [missing] = await run(
    "SELECT count(*) FROM joined WHERE split IS NULL OR split NOT IN ('train', 'val', 'test')",
  );
  if (Number(missing![0]) > 0) {
    throw new PenumbraError('dataset/splits', `${missing![0]} images have no split that is known.`, {
      hint: 'Splits are train, val (valid, validate, validation) and test; or split anew with --resplit.',
    });
  }
  const [torn] = await run(
    'SELECT count(*) FROM (SELECT 1 FROM joined GROUP BY patient HAVING count(DISTINCT split) > 1)',
  );
  if (Number(torn![0]) > 0) {
    throw new PenumbraError('dataset/splits', `${torn![0]} patients have images on both sides of a split.`, {
      hint: 'A network that has seen a patient is not tested on that patient. Split anew with --resplit.',
    });
  }
}

/** A patient's side depends on the patient and the seed alone, not on who else is there. */
async function byPatients(
  run: Run,
  sideOf: (u: number) => string,
  { seed }: SplitOptions,
  heldOut: ReadonlySet<string> = new Set(),
): Promise<void> {
  const patients = (await run('SELECT DISTINCT patient FROM joined')) as [string][];
  await run('CREATE TABLE sides (patient VARCHAR, side VARCHAR)');
  for (let i = 0; i < patients.length; i += 10_000) {
    const values = patients.slice(i, i + 10_000).map(([patient]) => {
      const side = heldOut.has(patient) ? 'test' : sideOf(hash53(`${seed}/${patient}`) / 2 ** 53);
      return `(${sqlText(patient)}, '${side}')`;
    });
    await run(`INSERT INTO sides VALUES ${values.join(',')}`);
  }
  await run(
    'CREATE OR REPLACE TABLE joined AS SELECT j.* REPLACE (s.side AS split) FROM joined j JOIN sides s ON j.patient = s.patient',
  );
}

/** Patients with a report whose doubt is written in one of the phrases are the test split; the others train and val. */
async function byHedges(run: Run, options: SplitOptions): Promise<void> {
  const phrases = options.hedges.map((phrase) => phrase.trim().toLowerCase().replace(/\s+/g, ' '));
  const list = phrases.map(sqlText).join(', ');
  const found = await run(`SELECT DISTINCT patient, phrase FROM (
      SELECT j.patient, unnest(list_transform(r.evidence, e -> lower(regexp_replace(e.phrase, '\\s+', ' ', 'g')))) AS phrase
      FROM joined j JOIN rows r ON j.report = r.report WHERE r.status = 'uncertain') WHERE phrase IN (${list})`);
  const seen = new Set(found.map(([, phrase]) => String(phrase)));
  const missing = phrases.filter((phrase) => !seen.has(phrase));
  if (missing.length > 0) {
    throw new PenumbraError('dataset/hedges', `No report with an image says "${missing[0]}".`, {
      hint: 'Name hedges as the card and report.html list them, for example "cannot be excluded".',
    });
  }
  const heldOut = new Set(found.map(([patient]) => String(patient)));
  await byPatients(run, (u) => (u < options.val ? 'val' : 'train'), options, heldOut);
}
