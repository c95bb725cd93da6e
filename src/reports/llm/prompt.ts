import { createHash } from 'node:crypto';
import type { FindingSet } from '../findings/findings.ts';
import { readAsset } from '../lexicon/table.ts';
import type { Report } from '../types.ts';
import { defuse } from './defuse.ts';

/** What is sent for one report. */
export interface Messages {
  readonly system: string;
  readonly user: string;
}

/** The prompt for a set of findings. Its text is part of every row's version. */
export interface Prompt {
  /** The same for every report, so that servers can keep its evaluation. */
  readonly system: string;
  /** The messages for a report. */
  messages(report: Report): Messages;
}

const wordsPerFinding = 12;
const stem = 5;

/** Reads `prompt.md`, or the text given, and fills in the findings. */
export function createPrompt(findings: FindingSet, template = readAsset('llm/prompt.md')): Prompt {
  const lines = findings.findings.map((finding) => {
    const words = someWords(findings, finding);
    return words.length === 0 ? `- ${finding}` : `- ${finding} (${words.join(', ')})`;
  });
  const noFinding =
    findings.noFinding === undefined
      ? ''
      : `6. "${findings.noFinding}" is present when the report calls the examination normal, or denies abnormalities and asserts none (devices aside); absent when it says that there is an abnormality; otherwise null.`;
  const parts: Record<string, string> = {
    findings: lines.join('\n'),
    noFinding,
    keys: JSON.stringify(findings.findings),
  };
  const system = template.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => parts[name] ?? whole).trim();
  return {
    system,
    messages(report) {
      const text = asOneText(report);
      // The tag depends on the text, so no text can hold its own closing tag.
      const tag = `report-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
      return {
        system,
        user: `<${tag}>\n${defuse(text)}\n</${tag}>\n\nThe JSON object for this report:`,
      };
    },
  };
}

/** Words that name a finding, one of each kind: plurals and other spellings of a word begin as it does. */
function someWords(findings: FindingSet, finding: string): string[] {
  const words: string[] = [];
  const stems = new Set<string>();
  for (const { finding: named, role, phrases } of findings.phrases) {
    if (named !== finding || role === 'ignore' || role === 'spelling') continue;
    for (const phrase of phrases) {
      if (words.length === wordsPerFinding) return words;
      if (stems.has(phrase.slice(0, stem))) continue;
      stems.add(phrase.slice(0, stem));
      words.push(phrase);
    }
  }
  return words;
}

/** The text that is sent for a report that came in fields: each field under its name. */
function asOneText(report: Report): string {
  const parts = report.text === undefined ? [] : [report.text];
  for (const { section, text } of report.sections ?? []) {
    if (text !== '') parts.push(`${section.toUpperCase()}:\n${text}`);
  }
  return parts.join('\n\n');
}
