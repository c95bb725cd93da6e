import { formatP } from '../figures/index.ts';

/** `p = 0.006` or `p < 0.001`. */
export function pText(p: number, alpha: number): string {
  const text = formatP(p, alpha);
  return text.startsWith('<') ? `p ${text}` : `p = ${text}`;
}

/** 12,345. */
export function formatCount(n: number): string {
  return Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `11.2 million`, `54,321`. */
export function formatParameters(n: number): string {
  return n >= 1e6 ? `${(n / 1e6).toFixed(1)} million` : formatCount(n);
}

/** `1 seed`, `3 seeds`. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${formatCount(n)} ${n === 1 ? one : many}`;
}

/** `a`, `a and b`, `a, b and c`; with semicolons where a name holds a comma. */
export function list(names: readonly string[], last = 'and'): string {
  if (names.length < 2) return names[0] ?? '';
  const commas = names.some((name) => name.includes(','));
  return `${names.slice(0, -1).join(commas ? '; ' : ', ')}${commas ? ';' : ''} ${last} ${names.at(-1)}`;
}

/** Upper-cases the first letter. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** With a full stop at its end. */
export function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** A name as files can carry it on every system. */
export function fileName(name: string): string {
  return name.replace(/[^A-Za-z0-9._+-]+/g, '_').slice(0, 60);
}

/** Lines of at most about `width` characters; a longer word stands alone. */
export function wrap(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    const next = line === '' ? (lines.length > 0 ? indent : '') + word : `${line} ${word}`;
    if ([...next].length > width && line !== '') {
      lines.push(line);
      line = indent + word;
    } else line = next;
  }
  lines.push(line);
  return lines;
}
