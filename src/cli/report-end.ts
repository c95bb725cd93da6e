import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { TextOptions } from '../judgement/report-text.ts';
import { terminalOptions } from './values.ts';

/** What every verb that ends with a report takes. */
export interface ReportFlags {
  open?: boolean;
  quiet?: boolean;
}

export function addReportOptions(command: Command): Command {
  return command
    .option('--open', 'open the report in a browser')
    .option('--quiet', 'print the verdict and where the report lies, nothing else');
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
