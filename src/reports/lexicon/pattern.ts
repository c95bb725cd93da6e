import { PenumbraError } from '../../errors.ts';

const limit = 4096;

/**
 * The phrases that a pattern stands for. `(a|b)` means one of several, `[a]` means with or without, also inside a
 * word: `opacit(y|ies)`, `effusion[s]`, `(no|without) [definite] evidence of`. Groups nest.
 * @throws PenumbraError `reports/pattern` for unbalanced brackets, an empty phrase, or more than 4096 phrases.
 */
export function expandPattern(pattern: string): string[] {
  let at = 0;
  const fail = (why: string): never => {
    throw new PenumbraError('reports/pattern', `The phrase pattern "${pattern}" ${why}.`, {
      hint: 'Write alternatives as (a|b) and optional parts as [a]; every bracket needs its partner.',
    });
  };
  const alternatives = (close: string): string[] => {
    const all: string[] = [];
    let current = [''];
    for (;;) {
      const c = pattern[at];
      if (c === undefined) {
        if (close !== '') fail(`lacks a "${close}"`);
        return all.concat(current);
      }
      at++;
      if (c === close) return all.concat(current);
      if (c === ')' || c === ']') fail(`has a "${c}" too many`);
      if (c === '|') {
        all.push(...current);
        current = [''];
        continue;
      }
      const parts = c === '(' ? alternatives(')') : c === '[' ? ['', ...alternatives(']')] : [c];
      if (current.length * parts.length > limit) fail(`stands for more than ${limit} phrases`);
      current = current.flatMap((head) => parts.map((part) => head + part));
    }
  };
  const phrases = new Set(alternatives('').map((phrase) => phrase.trim().replace(/\s+/g, ' ')));
  if (phrases.has('')) fail('can stand for no words at all');
  return [...phrases];
}
