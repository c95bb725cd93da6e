import { claimFolder } from '../files/index.ts';

/** Names in the folder of a Rep-GLS run, one for each stage. */
export const REP_GLS = {
  /** The phantom's clinic. */
  clinic: 'clinic',
  /** What the rules or a language model made of the reports. */
  rows: 'rows.jsonl',
  /** The rate generation network, and what it made of them. */
  generator: 'rgn',
  generated: 'rgn-rows.jsonl',
  /** What marked cases say of the rows. */
  audit: 'audit.json',
  /** Images with labels, probabilities and rates. */
  data: 'data',
  networks: 'networks',
} as const;

/** Takes a folder for a Rep-GLS run. @throws `files/exists` where one of its names is taken by something else */
export function claimRun(folder: string): void {
  claimFolder(folder, { kind: 'rep-gls', names: Object.values(REP_GLS) });
}
