import { existsSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { PenumbraError } from '../errors.ts';
import type { ThresholdRule } from '../figures/index.ts';
import type { JudgeInput, JudgeOptions } from '../judge/index.ts';
import { openReport, partSettings, prevalence } from './report-end.ts';
import { terminalOptions, thresholdRule, whole as wholeNumber } from './values.ts';

export function register(program: Command): void {
  program
    .command('judge')
    .description(
      'Judges and compares predictions made anywhere: accuracy, calibration, intervals, paired tests. Needs no engine.',
    )
    .argument(
      '<files...>',
      'predictions: .csv, .parquet or .npz; NAME=FILE names a method, and files of one name are its seeds',
    )
    .option('--labels <file>', 'labels apart from the predictions, matched by id')
    .option(
      '--fit <file>',
      'predictions on other samples to fit on: one for all, or one for each file',
      gather,
    )
    .option('--group <column>', 'column of patients: intervals and tests then go by patient')
    .option('--stratum <column>', 'column of strata (modality, sex, site …): figures of each')
    .option('--id <column>', 'column of sample ids (default: id, name, file, image …)')
    .option('--label <column>', 'column of labels, one of K classes (default: label, target, y_true …)')
    .option(
      '--probability-columns <names>',
      'columns of probabilities or logits: a,b,c or a pattern such as "p_*" (default: p_*, prob_*, logit_* …)',
      list,
    )
    .option(
      '--label-columns <names>',
      'findings: the columns of labels, likewise (default: y_*, label_* …)',
      list,
    )
    .addOption(
      new Option('--logits', 'the columns hold logits (default: found out)').conflicts('probabilities'),
    )
    .option('--probabilities', 'the columns hold probabilities')
    .option('--baseline <name>', 'the method that others are compared with (default: the first)')
    .option('--all-pairs', 'compare every pair of methods')
    .option(
      '--threshold <rule>',
      'findings with --fit: how operating points are chosen: youden, f1, sensitivity=0.9, specificity=0.9 (default: youden)',
      thresholdRule,
    )
    .option('--bins <n>', 'bins of the published calibration errors (default: 15)', wholeNumber)
    .option('--replicates <n>', '0: values alone, without intervals and tests', wholeNumber)
    .option('--seed <n>', 'names the stream of random numbers (default: 0)', wholeNumber)
    .option(
      '--html <file>',
      'write one page: figures, reliability diagrams, risk–coverage, calibrators and conformal sets',
    )
    .option('--markdown <file>', 'write the same as Markdown')
    .option(
      '--prevalence <share>',
      'how frequent what is looked for is where it shall be used: 0.1, or edema=0.02,mass=0.05 (with --fit)',
      prevalence,
    )
    .option('--images <folder>', 'images by sample id, relative to the folder: the page then shows some')
    .option('--open', 'open the page in a browser (with --html)')
    .option('--quiet', 'print the verdict and where the files lie, nothing else')
    .option('--json <file>', 'write all figures (fractions) with intervals, differences and bins')
    .addHelpText(
      'after',
      `
A table has a row for each sample. One label of K: id, label, p_<class> …, where a label is a class name or its number.
Findings: id, then y_<finding> and p_<finding> for each, blank where a finding is not known. An .npz holds arrays
probabilities (or logits) N×K, labels N or N×K, and ids and classes where there are some. Several files are matched by
id, so that their order does not count. What \`penumbra evaluate --predictions\` writes is read as it is.

Examples:
  $ penumbra judge predictions.csv
  $ penumbra judge hard=hard.csv ols=ols.csv --json figures.json
  $ penumbra judge hard=h0.csv hard=h1.csv ols=o0.csv ols=o1.csv --group patient
  $ penumbra judge test.parquet --fit val.parquet --stratum modality --html report.html
  $ penumbra judge logits.npz --labels truth.csv --id image_id --logits`,
    )
    .action(judge);
}

interface Flags {
  labels?: string;
  fit?: string[];
  group?: string;
  stratum?: string;
  id?: string;
  label?: string;
  probabilityColumns?: string[];
  labelColumns?: string[];
  logits?: boolean;
  probabilities?: boolean;
  baseline?: string;
  allPairs?: boolean;
  threshold?: ThresholdRule;
  bins?: number;
  replicates?: number;
  seed?: number;
  html?: string;
  markdown?: string;
  json?: string;
  prevalence?: number | Readonly<Record<string, number>>;
  images?: string;
  open?: boolean;
  quiet?: boolean;
}

async function judge(names: string[], flags: Flags): Promise<void> {
  const { judgeFigures, judgeJson, loadPredictions, renderJudgement } = await import('../judge/index.ts');
  const { checkResult, writeResult } = await import('../files/index.ts');
  const { createProgress } = await import('./progress.ts');
  const inputs = names.map(input);
  const read = [
    ...inputs.map(({ file }) => file),
    ...(flags.fit ?? []),
    ...(flags.labels ? [flags.labels] : []),
  ];
  if (flags.json !== undefined) checkResult(flags.json, { kind: 'json', inputs: read });
  if (flags.html !== undefined) checkResult(flags.html, { kind: 'html', inputs: read });
  if (flags.markdown !== undefined) checkResult(flags.markdown, { kind: 'markdown', inputs: read });

  let progress: ReturnType<typeof createProgress> | undefined;
  let label = '';
  const {
    logits,
    probabilities,
    html,
    markdown,
    json,
    open,
    quiet,
    prevalence: share,
    images,
    ...rest
  } = flags;
  if (open && html === undefined)
    throw new PenumbraError('usage/judge', '--open has no page to open', {
      hint: 'name one: --html report.html',
    });
  const options: JudgeOptions = {
    ...rest,
    ...(logits === true && { scale: 'logits' }),
    ...(probabilities === true && { scale: 'probabilities' }),
    onProgress(what, done, total) {
      if (what !== label) {
        progress?.done();
        progress = createProgress({ label: what, total, unit: what === 'reading' ? 'files' : 'figures' });
        label = what;
      }
      progress?.update(done);
    },
  };
  const loaded = await loadPredictions(inputs, options);
  const result = judgeFigures(loaded, options);
  progress?.done();
  if (!quiet) process.stdout.write(renderJudgement(result, { ...terminalOptions(), sentences: false }));
  const { judgementOf, reportOf, renderHtml, renderMarkdown, renderText, verdictJson } = await import(
    '../judge/report.ts'
  );
  // Conformal sets, curves and all calibrators: what a page shows, and what --fit is for.
  const whole =
    html !== undefined || markdown !== undefined || (json !== undefined && flags.fit !== undefined);
  const judgement = await judgementOf(loaded, result, {
    ...options,
    verdict: !whole,
    ...(images !== undefined && { images }),
    parts: partSettings({ ...(share !== undefined && { prevalence: share }) }),
    onMessage: (message) => process.stderr.write(`judging: ${message}\n`),
  });
  const report = reportOf(loaded, judgement, options, commandLine());
  process.stdout.write(
    `${quiet ? '' : '\n'}${renderText(report, { ...terminalOptions(), what: 'verdict' })}`,
  );
  const write = (file: string, text: string, kind: 'html' | 'markdown' | 'json', what = 'report') => {
    writeResult(file, text, { kind, inputs: read });
    process.stderr.write(`${what}: ${file}\n`);
  };
  if (json !== undefined) {
    const { figures: _, ...parts } = judgement.parts;
    const figures = { ...judgeJson(result), ...(whole && { parts }), verdict: verdictJson(report) };
    write(json, `${JSON.stringify(figures, null, 1)}\n`, 'json', 'figures');
  }
  if (markdown !== undefined) write(markdown, renderMarkdown(report), 'markdown');
  if (html !== undefined) write(html, renderHtml(report), 'html');
  if (open && html !== undefined) openReport(html);
}

function commandLine(): string {
  const words = process.argv
    .slice(2)
    .map((word) => (/^[\w@%+=:,./*-]+$/.test(word) ? word : JSON.stringify(word)));
  return ['penumbra', ...words].join(' ');
}

/** `NAME=FILE`, or a file, which may have an equals sign in its name. */
function input(text: string): JudgeInput {
  const at = text.indexOf('=');
  if (at <= 0 || existsSync(text)) return { file: text };
  return { name: text.slice(0, at), file: text.slice(at + 1) };
}

function gather(file: string, before: string[] = []): string[] {
  return [...before, file];
}

function list(text: string): string[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0)
    throw new InvalidArgumentError('expected names of columns: a,b,c or a pattern p_*.');
  return names;
}
