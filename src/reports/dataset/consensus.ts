import type { Run } from '../io/tables.ts';
import { rateSql } from '../rate.ts';

/** Between the ids of the reports of one image that several people read. */
export const AND_REPORT = '|';

/**
 * Several readings of an image, `r1|r2|r3` in its table, become one in the table `rows`: of the readings that speak of a
 * finding the mean probability (the soft label averaged over readers), y and r as they follow from it, and a deviation that
 * holds the readers' disagreement beside their own doubt, √(mean of squares + variance between them). Evidence is that of all.
 * Readings that could not be read do not count.
 * @returns how many images have several
 */
export async function mergeReadings(run: Run): Promise<number> {
  await run(`CREATE TEMP TABLE readings AS
    SELECT DISTINCT report AS whole, trim(unnest(string_split(report, '${AND_REPORT}'))) AS report
    FROM images WHERE contains(report, '${AND_REPORT}') AND report NOT IN (SELECT report FROM rows)`);
  const [[several]] = (await run(
    'SELECT count(*) FROM images WHERE report IN (SELECT whole FROM readings)',
  )) as [[unknown]];
  if (Number(several) === 0) return 0;
  await run(`CREATE TEMP TABLE merged AS
    WITH own AS (SELECT r.* EXCLUDE (report), w.whole AS report FROM rows r JOIN readings w ON r.report = w.report),
      read AS (SELECT * FROM own WHERE NOT (kind = 'failed' AND finding = '')),
      means AS (SELECT report, finding, round(avg(probability), 6) AS p,
        sqrt(coalesce(avg(deviation * deviation), 0) + coalesce(var_pop(probability), 0)) AS spread,
        first(status ORDER BY status = 'not_mentioned') FILTER (WHERE probability IS NULL) AS unsaid,
        flatten(list(evidence)) AS words
        FROM read WHERE finding <> '' GROUP BY report, finding)
    SELECT one.* REPLACE (
      CASE WHEN p IS NULL THEN unsaid WHEN p = 1 THEN 'present' WHEN p = 0 THEN 'absent' ELSE 'uncertain' END AS status,
      p AS probability,
      CASE WHEN p IS NULL THEN NULL ELSE round(spread, 6) END AS deviation,
      CASE WHEN p IS NULL THEN NULL WHEN p >= 0.5 THEN 1 ELSE 0 END AS label,
      CASE WHEN p IS NULL THEN NULL ELSE ${rateSql('p')} END AS rate,
      words AS evidence,
      CASE WHEN p IS NULL THEN one.masked ELSE NULL END AS masked)
    FROM means JOIN (SELECT DISTINCT ON (report, finding) * FROM read ORDER BY report, finding, probability IS NULL) one
      ON means.report = one.report AND means.finding = one.finding
    UNION ALL BY NAME
    SELECT DISTINCT ON (report) * FROM own WHERE kind = 'failed' AND finding = ''
      AND report NOT IN (SELECT report FROM read)`);
  await run(`DELETE FROM rows WHERE report IN (SELECT report FROM readings)
    AND report NOT IN (SELECT report FROM images WHERE report IS NOT NULL)`);
  await run('INSERT INTO rows BY NAME SELECT * FROM merged');
  return Number(several);
}
