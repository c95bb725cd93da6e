/** Letters in the standard fonts of PDF: which font has one, under which code, and how wide it is. */

/** A letter that none of the fonts has. */
export class NoLetter extends Error {}

/** Letters of one font. */
export interface Run {
  readonly font: FontName;
  readonly codes: readonly number[];
}

export type FontName = keyof typeof FONTS;

/** By their names in a page's resources. */
export const FONTS = {
  regular: { base: 'Helvetica', encoding: 'WinAnsiEncoding' },
  bold: { base: 'Helvetica-Bold', encoding: 'WinAnsiEncoding' },
  symbol: { base: 'Symbol', encoding: undefined },
  dingbats: { base: 'ZapfDingbats', encoding: undefined },
} as const;

/** @throws NoLetter */
export function runsOf(text: string, bold: boolean): Run[] {
  const runs: { font: FontName; codes: number[] }[] = [];
  for (const letter of text.normalize('NFC')) {
    const { font, code } = letterOf(letter, bold);
    const last = runs.at(-1);
    if (last?.font === font) last.codes.push(code);
    else runs.push({ font, codes: [code] });
  }
  return runs;
}

/** In thousandths of the size. */
export function widthOf(runs: readonly Run[]): number {
  return runs.reduce(
    (sum, { font, codes }) => sum + codes.reduce((own, code) => own + advance(font, code), 0),
    0,
  );
}

function letterOf(letter: string, bold: boolean): { font: FontName; code: number } {
  const point = letter.codePointAt(0)!;
  const latin = (point >= 0x20 && point <= 0x7e) || (point >= 0xa0 && point <= 0xff);
  const code = latin ? point : WINDOWS.get(letter);
  if (code !== undefined) return { font: bold ? 'bold' : 'regular', code };
  const symbol = SYMBOLS.get(letter);
  if (symbol !== undefined) return { font: 'symbol', code: symbol[0] };
  const dingbat = DINGBATS.get(letter);
  if (dingbat !== undefined) return { font: 'dingbats', code: dingbat[0] };
  // Spaces of other widths.
  if (/\s/.test(letter)) return { font: bold ? 'bold' : 'regular', code: 0x20 };
  throw new NoLetter(letter);
}

function advance(font: FontName, code: number): number {
  if (font === 'regular') return REGULAR[code - 0x20] ?? 0;
  if (font === 'bold') return BOLD[code - 0x20] ?? 0;
  const table = font === 'symbol' ? SYMBOLS : DINGBATS;
  return [...table.values()].find(([own]) => own === code)?.[1] ?? 0;
}

/** What Windows' code page 1252 has between 0x80 and 0x9f. */
const WINDOWS: ReadonlyMap<string, number> = new Map(
  [...'€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ'].flatMap((letter, i) =>
    letter === ' ' ? [] : [[letter, 0x80 + i]],
  ),
);

/** Code and width in the font Symbol. */
const SYMBOLS: ReadonlyMap<string, readonly [number, number]> = new Map([
  ['−', [0x2d, 549]],
  ['≤', [0xa3, 549]],
  ['≥', [0xb3, 549]],
  ['≠', [0xb9, 549]],
  ['≈', [0xbb, 549]],
  ['∞', [0xa5, 713]],
  ['√', [0xd6, 549]],
  ['∑', [0xe5, 713]],
  ['←', [0xac, 987]],
  ['↑', [0xad, 603]],
  ['→', [0xae, 987]],
  ['↓', [0xaf, 603]],
  ['Δ', [0x44, 612]],
  ['Σ', [0x53, 592]],
  ['Ω', [0x57, 768]],
  ['α', [0x61, 631]],
  ['β', [0x62, 549]],
  ['γ', [0x67, 411]],
  ['δ', [0x64, 494]],
  ['ε', [0x65, 439]],
  ['κ', [0x6b, 549]],
  ['λ', [0x6c, 549]],
  ['μ', [0x6d, 576]],
  ['π', [0x70, 549]],
  ['ρ', [0x72, 549]],
  ['σ', [0x73, 603]],
  ['τ', [0x74, 439]],
  ['φ', [0x66, 521]],
  ['χ', [0x63, 549]],
]);

/** Code and width in the font ZapfDingbats. */
const DINGBATS: ReadonlyMap<string, readonly [number, number]> = new Map([
  ['✓', [0x33, 755]],
  ['✔', [0x34, 846]],
  ['✗', [0x37, 571]],
  ['✘', [0x38, 677]],
]);

/** From 0x20 to 0xff, of Adobe's metrics of Helvetica and Helvetica-Bold. */
const REGULAR = widths(`
  278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556
  278 278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722
  667 611 722 667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222
  833 556 556 556 556 333 500 278 556 500 722 500 500 500 334 260 334 584 0 556 0 222 556 333 1000 556
  556 333 1000 667 333 1000 0 611 0 0 222 222 333 333 350 556 1000 333 1000 500 333 944 0 500 500 278 333
  556 556 556 556 260 556 333 737 370 556 584 333 737 333 400 584 333 333 333 556 537 278 333 333 365 556
  834 834 834 611 667 667 667 667 667 667 1000 722 667 667 667 667 278 278 278 278 722 722 778 778 778
  778 778 584 778 722 722 722 722 667 667 611 556 556 556 556 556 556 889 500 556 556 556 556 278 278 278
  278 556 556 556 556 556 556 556 584 611 556 556 556 556 500 556 500`);
const BOLD = widths(`
  278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556
  333 333 584 584 584 611 975 722 722 722 722 667 611 778 722 278 556 722 611 833 722 778 667 778 722 667
  611 722 667 944 667 667 611 333 278 333 584 556 333 556 611 556 611 556 333 611 611 278 278 556 278 889
  611 611 611 611 389 556 333 611 556 778 556 556 500 389 280 389 584 0 556 0 278 556 500 1000 556 556
  333 1000 667 333 1000 0 611 0 0 278 278 500 500 350 556 1000 333 1000 556 333 944 0 500 556 278 333 556
  556 556 556 280 556 333 737 370 556 584 333 737 333 400 584 333 333 333 611 556 278 333 333 365 556 834
  834 834 611 722 722 722 722 722 722 1000 722 667 667 667 667 278 278 278 278 722 722 778 778 778 778
  778 584 778 722 722 722 722 667 667 611 556 556 556 556 556 556 889 556 556 556 556 556 278 278 278 278
  611 611 611 611 611 611 611 584 611 611 611 611 611 556 611 556`);

function widths(text: string): number[] {
  return text.trim().split(/\s+/).map(Number);
}
