import type { Random } from '../../random.ts';

/**
 * Errors of dictation and typing, a Poisson number of them with mean `rate`: swapped or lost letters, a word said twice, a
 * word lost (never a "no", which would make it another report), left for right.
 */
export function misdictate(text: string, rate: number, random: Random): string {
  let errors = 0;
  for (let p = Math.exp(-rate), rest = random.uniform(), sum = p; rest > sum && errors < 100; sum += p)
    p *= rate / ++errors;
  let result = text;
  for (let i = 0; i < errors; i++) result = once(result, random);
  return result;
}

function once(text: string, random: Random): string {
  const words = [...text.matchAll(/[a-z]{4,}/g)];
  const kind = random.below(5);
  if (words.length === 0) return text;
  const { 0: word, index } = words[random.below(words.length)];
  const put = (by: string) => text.slice(0, index) + by + text.slice(index + word.length);
  if (kind === 0) {
    const at = 1 + random.below(word.length - 2);
    return put(word.slice(0, at) + word[at + 1] + word[at] + word.slice(at + 2));
  }
  if (kind === 1) {
    const at = 1 + random.below(word.length - 1);
    return put(word.slice(0, at) + word.slice(at + 1));
  }
  if (kind === 2) return put(`${word} ${word}`);
  if (kind === 3) {
    const sides = [...text.matchAll(/\b(left|right)\b/g)];
    if (sides.length === 0) return text;
    const side = sides[random.below(sides.length)];
    return (
      text.slice(0, side.index) +
      (side[0] === 'left' ? 'right' : 'left') +
      text.slice(side.index + side[0].length)
    );
  }
  return put('')
    .replace(/ {2,}/g, ' ')
    .replace(/ ([.,])/g, '$1');
}
