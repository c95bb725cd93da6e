/**
 * Speed of the rules on one core: `npm run bench -- reports [number of reports]`.
 *
 * The texts are Open-i's reports where `PENUMBRA_TEST_DATA` names the folder that holds them (312 characters on
 * average), otherwise reports made here of that length; each gets an id of its own. The figures: the rules alone,
 * the whole stream from a file of JSON lines, and from a CSV, to one row per report and finding in another, the same with
 * the threads that `--jobs auto` takes (on more cores than one), and those rows as arrays, with the peak of memory.
 */
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../src/random.ts';
import { usefulThreads } from '../src/reports/extract/threads.ts';
import { createAssessor, extract, type Report, readRows, rulesExtractor } from '../src/reports/index.ts';
import { csvField } from '../src/reports/io/csv.ts';

const count = Number(process.argv.slice(2).find((argument) => /^\d+$/.test(argument)) ?? 200_000);
const assessor = createAssessor();
const texts = fieldsOfReports();
const length = texts.reduce((sum, t) => sum + Object.values(t).join('').length, 0) / texts.length;
console.log(
  `${texts.length} different reports, ${Math.round(length)} characters on average; ${count} of them`,
);

const reports = texts.map(
  (t): Report => ({
    id: 'x',
    sections: [
      { section: 'history', text: t.indication },
      { section: 'comparison', text: t.comparison },
      { section: 'findings', text: t.findings },
      { section: 'impression', text: t.impression },
    ],
  }),
);
for (let i = 0; i < 20_000; i++) assessor.assessReport(reports[i % reports.length]!); // let the compiler warm up
await measure('rules alone', () => {
  for (let i = 0; i < count; i++) assessor.assessReport(reports[i % reports.length]!);
});

const folder = mkdtempSync(join(tmpdir(), 'penumbra-bench-'));
try {
  const columns = Object.keys(texts[0]!) as (keyof (typeof texts)[0])[];
  const input = writeReports('reports.jsonl', '', (id, t) => JSON.stringify({ id, ...t }));
  const csv = writeReports('reports.csv', `id,${columns.join()}\n`, (id, t) =>
    [id, ...columns.map((column) => t[column])].map(csvField).join(),
  );
  const output = join(folder, 'rows.jsonl');
  let half = 0;
  const onProgress = (p: { seen: number }): void => {
    if (half === 0 && p.seen > count / 2) half = process.memoryUsage().rss;
  };
  const rules = rulesExtractor(assessor);
  await measure('stream, file to file', () => extract(input, output, rules, { onProgress }));
  const peak = process.resourceUsage().maxRSS;
  await measure('stream, CSV to file', () => extract(csv, output, rules, { overwrite: true }));
  const threads = usefulThreads();
  if (threads > 1) {
    const jobs = { count: threads, source: { extractor: 'rules', flags: {}, module: '' } };
    await measure(`stream, file to file, ${threads} threads`, () =>
      extract(input, output, rules, { overwrite: true, jobs }),
    );
  }
  await measure(`readRows, ${14 * count} rows to arrays`, () => readRows(output));
  const mega = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
  console.log(
    `  read ${mega(statSync(input).size)}, wrote ${mega(statSync(output).size)}; resident memory ${mega(half)} half way, ` +
      `${mega(process.memoryUsage().rss)} at the end, ${mega(peak * 1024)} at the most, without threads`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** A file of `count` reports, a line (or row) each. */
function writeReports(
  name: string,
  header: string,
  line: (id: string, t: (typeof texts)[0]) => string,
): string {
  const path = join(folder, name);
  const file = openSync(path, 'w');
  let block = header;
  for (let i = 0; i < count; i++) {
    block += `${line(`report-${i}`, texts[i % texts.length]!)}\n`;
    if (block.length > 1 << 20 || i === count - 1) {
      writeSync(file, block);
      block = '';
    }
  }
  closeSync(file);
  return path;
}

/** Wall time, and CPU time of all threads: on a machine with other work the second is the core's own speed. */
async function measure(name: string, work: () => unknown): Promise<void> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const busy = (user + system) / 1e6;
  const perSecond = (t: number): string => Math.round(count / t).toLocaleString('en');
  console.log(
    `${name}: ${perSecond(seconds)} reports/s (${seconds.toFixed(2)} s); ${perSecond(busy)} per second of CPU (${busy.toFixed(2)} s)`,
  );
}

function fieldsOfReports(): Record<'indication' | 'comparison' | 'findings' | 'impression', string>[] {
  const data = process.env.PENUMBRA_TEST_DATA;
  const path = data === undefined ? '' : join(data, 'openi-reports/reports.jsonl');
  if (existsSync(path)) {
    return readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => {
        const { indication, comparison, findings, impression } = JSON.parse(line);
        return { indication, comparison, findings, impression };
      });
  }
  const random = new Random(4);
  const pick = (list: readonly string[]): string => list[random.below(list.length)]!;
  const sentences = [
    'Heart size is within normal limits.',
    'The cardiomediastinal silhouette is mildly enlarged.',
    'No focal consolidation, pneumothorax, or large pleural effusion.',
    'There is a small left pleural effusion with adjacent atelectasis.',
    'Patchy opacity in the right lower lobe, which may represent atelectasis or early pneumonia.',
    'Degenerative changes of the thoracic spine.',
    'The lungs are clear bilaterally.',
    'No acute bony abnormality.',
    'Right internal jugular catheter tip projects over the superior vena cava.',
  ];
  return Array.from({ length: 2000 }, () => ({
    indication: pick(['Chest pain.', 'Evaluate for pneumonia.', 'Dyspnea.']),
    comparison: pick(['None.', 'Radiograph of the previous day.']),
    findings: [0, 1, 2, 3, 4].map(() => pick(sentences)).join(' '),
    impression: pick(['No acute cardiopulmonary abnormality.', 'Probable pneumonia.', 'Stable effusion.']),
  }));
}
