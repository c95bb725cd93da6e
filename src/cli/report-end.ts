import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { TextOptions } from '../judgement/report-text.ts';
import type { PictureFormat } from '../study/study.ts';
import { terminalOptions } from './values.ts';

/** What every verb that ends with a report takes. */
export interface ReportFlags {
  open?: boolean;
  quiet?: boolean;
  png?: boolean;
  pdf?: boolean;
  /** Of what is looked for: one share, or one for each class or finding. */
  prevalence?: number | Readonly<Record<string, number>>;
  images?: boolean;
}

export function addReportOptions(command: Command): Command {
  return command
    .option('--open', 'open the report in a browser')
    .option('--png', 'write the figures as PNG beside SVG')
    .option('--pdf', 'write the figures as PDF beside SVG')
    .option('--quiet', 'print the verdict and where the report lies, nothing else');
}

/** What figures are written as besides SVG. */
export function pictureFormats({ png, pdf }: ReportFlags): PictureFormat[] {
  return [...(png ? (['png'] as const) : []), ...(pdf ? (['pdf'] as const) : [])];
}

/** What a report shows, where no study file says it. */
export function addPartOptions(command: Command): Command {
  return command
    .option(
      '--prevalence <share>',
      'how frequent what is looked for is where the network shall be used, for predictive values and decision curves: 0.1, or edema=0.02,mass=0.05',
      prevalence,
    )
    .option('--no-images', 'show no pictures of the surest errors and the least sure hits');
}

/** Settings of parts as flags give them. */
export function partSettings({ prevalence: share, images }: ReportFlags): Record<string, unknown> {
  return {
    ...(share !== undefined && { operating: { prevalence: share }, decision: { prevalence: share } }),
    ...(images === false && { images: false }),
  };
}

/** `0.1`, or `edema=0.02,mass=0.05`. */
export function prevalence(text: string): number | Record<string, number> {
  const share = (value: string) => {
    const number = Number(value);
    if (!(number > 0 && number < 1))
      throw new InvalidArgumentError('expected a share between 0 and 1, or name=share,name=share.');
    return number;
  };
  if (!text.includes('=')) return share(text);
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const at = pair.lastIndexOf('=');
      return [pair.slice(0, at).trim(), share(pair.slice(at + 1))];
    }),
  );
}

export function textOptions({ quiet }: ReportFlags): TextOptions {
  return { ...terminalOptions(), what: quiet ? 'verdict' : 'all' };
}

/**
 * Prints a report's text, which ends with the verdict, and where its files lie; the report itself last, where the eye is.
 * @param files by what they are, `report` among them
 */
export function endWithReport(
  text: string,
  files: Readonly<Record<string, string>> & { readonly report: string },
  { open, quiet }: ReportFlags,
): void {
  const shown = quiet ? { report: files.report } : files;
  const width = Math.max(...Object.keys(shown).map((name) => name.length)) + 2;
  const lines = Object.entries(shown).map(([name, path]) => `${`${name}:`.padEnd(width)}${path}`);
  process.stdout.write(`${text}\n${lines.join('\n')}\n`);
  if (open) openReport(files.report);
}

/** Opens a file in the system's browser; says where it lies where there is none. */
export function openReport(path: string): void {
  const [program, ...words] =
    process.platform === 'darwin'
      ? ['open']
      : process.platform === 'win32'
        ? ['cmd', '/c', 'start', '']
        : [process.env.BROWSER ?? 'xdg-open'];
  const child = spawn(program!, [...words, resolve(path)], { stdio: 'ignore', detached: true });
  child.on('error', () => {
    process.stderr.write(`no browser could be started (${program}); open ${resolve(path)} yourself.\n`);
  });
  child.unref();
}
