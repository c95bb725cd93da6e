import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { createAssessor, findingSet, readLexicon } from '../../src/reports/index.ts';
import { checkExamples } from '../../src/reports/mine/index.ts';

/** German as data: the folder holds 30 cues, five findings, and the headings; no code knows the language. */
describe('a second language is a folder', () => {
  const folder = fileURLToPath(new URL('../fixtures/reports/de', import.meta.url));
  const lexicon = readLexicon(folder);
  const findings = findingSet(`${folder}/findings.tsv`);
  const assessor = createAssessor({ lexicon, findings });
  const statusOf = (text: string, finding: string) =>
    assessor.assessReport(text).find((row) => row.finding === finding)!.status;

  test('every entry gets its example right', () => {
    expect(checkExamples(lexicon, findings)).toEqual([]);
    expect(lexicon.entries.length).toBeGreaterThanOrEqual(30);
    expect(findings.findings.length).toBe(5);
  });
  test.each([
    ['Kein Pleuraerguss oder Pneumothorax.', 'Pneumothorax', 'absent'],
    ['Kein Pleuraerguss, kein Pneumothorax.', 'Pleural Effusion', 'absent'],
    ['Kein Erguss, jedoch Atelektase basal.', 'Atelectasis', 'present'],
    ['Ein Pneumothorax ist nicht nachweisbar.', 'Pneumothorax', 'absent'],
    ['Verschattung links basal, am ehesten Atelektase.', 'Atelectasis', 'uncertain'],
    ['Eine Pneumonie ist möglich.', 'Pneumonia', 'uncertain'],
    ['Mögliche Pneumonie rechts.', 'Pneumonia', 'uncertain'],
    ['V.a. Pneumonie rechts.', 'Pneumonia', 'uncertain'],
    ['Herz normal groß.', 'Cardiomegaly', 'absent'],
    ['Das Herz ist vergrößert.', 'Cardiomegaly', 'present'],
    ['Kleiner Pleuraerguss links.', 'Pleural Effusion', 'present'],
    ['ERGÜSSE links.', 'Pleural Effusion', 'present'],
  ])('%s', (text, finding, status) => {
    expect(statusOf(text, finding)).toBe(status);
  });
  test('its headings part the report', () => {
    const text = 'Fragestellung: Pneumonie?\n\nBefund: Kein Erguss.\n\nBeurteilung: Keine Pneumonie.';
    expect(statusOf(text, 'Pneumonia')).toBe('absent');
    expect(statusOf('Anamnese: Pneumonie.', 'Pneumonia')).toBe('not_mentioned');
  });
  test('English says nothing in it', () => {
    expect(statusOf('No pneumothorax.', 'Pneumothorax')).toBe('present');
  });
});
