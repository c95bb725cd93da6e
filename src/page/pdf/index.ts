import { drawing } from './draw.ts';
import { pdfFile } from './file.ts';
import { NoLetter } from './letters.ts';
import { parseSvg } from './parse.ts';

/**
 * A figure's SVG as PDF: one page of the size that it declares, of lines and letters, not of dots. It reads what figures
 * are made of (groups, shapes, paths, text, the style sheet of pictures) and nothing else. Letters are those of PDF's
 * standard fonts (ISO 32000-1, 9.6.2.2), which every reader has and no file holds.
 * @returns undefined where a letter is in none of them: a figure without its names would mislead
 */
export function pdfOf(svg: string): Uint8Array | undefined {
  const root = parseSvg(svg);
  const title = root.children.find(({ name }) => name === 'title')?.text ?? '';
  try {
    const { width, height, content, opacities } = drawing(root);
    return pdfFile({ width, height, content, opacities, title });
  } catch (error) {
    if (error instanceof NoLetter) return undefined;
    throw error;
  }
}
