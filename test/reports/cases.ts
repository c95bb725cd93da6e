import { readFileSync } from 'node:fs';

/** What a case expects: a status, with `+` for p ≥ 0.5 and `-` for p < 0.5; `not_said`: nothing about now. */
export function meets(expected: string, status: string, probability: number | null): boolean {
  if (expected === 'not_said') return probability === null;
  const side = expected.at(-1);
  if (side !== '+' && side !== '-') return status === expected;
  return status === expected.slice(0, -1) && probability! >= 0.5 === (side === '+');
}

/** The lines of a file of cases, without its header; `\n` in a cell stands for a line break. */
export function readCases(file: string): string[][] {
  return readFileSync(new URL(`../fixtures/reports/${file}`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t').map((cell) => cell.replaceAll('\\n', '\n')));
}

/** "No [effusion]." as text and span. */
export function marked(sentence: string): { text: string; span: [number, number] } {
  const start = sentence.indexOf('[');
  return { text: sentence.replace(/[[\]]/g, ''), span: [start, sentence.indexOf(']') - 1] };
}
