import { Failure } from './failure.ts';
import type { AnswerSchema, Judgement } from './schema.ts';

/** What an answer says of each finding, in the order of the findings: a judgement, null, or what is wrong with it. */
export type Answer = readonly ({ readonly judgement: Judgement | null } | { readonly problem: string })[];

/**
 * Reads the text of an answer: JSON, perhaps with reasoning before it, prose around it or a fence about it.
 * @throws Failure `empty`, `cut-off`, `not-json`, or `schema` where nothing of it can be used
 */
export function readAnswer(text: string, schema: AnswerSchema, cutOff: boolean): Answer {
  if (text.trim() === '') {
    throw new Failure(cutOff ? 'cut-off' : 'empty', cutOff ? 'only white space' : 'the answer has no text');
  }
  let best: Answer | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  let objects = 0;
  for (const value of objectsIn(text)) {
    objects++;
    const answer = schema.findings.map((finding) =>
      Object.hasOwn(value, finding) ? schema.check(value[finding]) : { problem: 'left out' },
    );
    const problems = answer.filter((entry) => 'problem' in entry).length;
    if (problems < fewest) {
      best = answer;
      fewest = problems;
    }
    if (problems === 0) break;
  }
  if (best !== undefined && fewest < schema.findings.length) return best;
  if (cutOff) throw new Failure('cut-off', 'the answer ended before it was complete');
  if (objects === 0) throw new Failure('not-json', 'the answer holds no JSON object');
  throw new Failure('schema', `no finding as the schema wants it (${firstProblem(best!)})`);
}

function firstProblem(answer: Answer): string {
  const entry = answer.find((x) => 'problem' in x);
  return entry !== undefined && 'problem' in entry ? entry.problem : 'none';
}

/** More opening braces than this that lead nowhere, and the search ends: the time stays linear. */
const mostStarts = 64;

/** The JSON objects of a text, outermost first to last; the whole text, then what follows the reasoning, go first. */
function* objectsIn(text: string): Generator<Record<string, unknown>> {
  const whole = parseObject(text.trim());
  if (whole !== undefined) {
    yield whole;
    return;
  }
  const rest = withoutReasoning(text);
  for (let from = rest.indexOf('{'), starts = 0; from >= 0 && starts < mostStarts; starts++) {
    const end = closingBrace(rest, from);
    const value = end < 0 ? undefined : parseObject(rest.slice(from, end));
    if (value !== undefined) yield value;
    from = rest.indexOf('{', value === undefined ? from + 1 : end);
  }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What follows `</think>`; templates that open the tag themselves leave only its end in the answer. Reasoning that
 * never ends leaves nothing.
 */
function withoutReasoning(text: string): string {
  const end = text.lastIndexOf('</think>');
  if (end >= 0) return text.slice(end + '</think>'.length);
  return /^\s*<think>/.test(text) ? '' : text;
}

/** The offset after the brace that closes the one at `from`, or -1. Knows strings and escapes. */
function closingBrace(text: string, from: number): number {
  let depth = 0;
  let inString = false;
  for (let i = from; i < text.length; i++) {
    const unit = text[i];
    if (inString) {
      if (unit === '\\') i++;
      else if (unit === '"') inString = false;
    } else if (unit === '"') inString = true;
    else if (unit === '{') depth++;
    else if (unit === '}' && --depth === 0) return i + 1;
  }
  return -1;
}
