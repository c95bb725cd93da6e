/** Pictures of results: panels that any page can hold, and a study's figures as files of their own. */
import { viewOf } from '../figures-study.ts';
import type { StudyReport } from '../study-result.ts';
import { figureSvg } from './figure.ts';
import { drawCell, drawingList } from './study-figures.ts';

/**
 * Every figure of a study as an SVG that stands alone: white, sized in millimetres for a page's text width, with title
 * and description, generic fonts, and no reference to anything outside.
 * @returns file names (`ece-knee-resnet10.svg`, safe on every system) and their texts, in the order of the cells
 */
export function renderStudyFigures(report: StudyReport): Map<string, string> {
  const view = viewOf(report);
  const files = new Map<string, string>();
  const taken = new Set<string>();
  for (const cell of report.cells) {
    for (const figure of drawingList(drawCell(view, cell, 'file'))) {
      let name = figure.file;
      // Different names can become one where characters are replaced, or where a file system ignores case.
      for (let n = 2; taken.has(name.toLowerCase()); n++) name = `${figure.file}-${n}`;
      taken.add(name.toLowerCase());
      files.set(`${name}.svg`, figureSvg(figure));
    }
  }
  return files;
}
