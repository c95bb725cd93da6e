import type { Random } from '../../random.ts';
import { CLINIC_FINDINGS, LATENT, latentIndex } from './findings.ts';
import {
  ADVICE,
  ALL_WELL,
  ASIDES,
  GONE,
  LESS,
  MORE,
  NEW,
  OWN_WORDS,
  REASONS,
  SAME,
  TECHNIQUES,
  WORDINGS,
} from './phrases.ts';
import type { Place } from './places.ts';
import { type Reader, SILENT, SURELY_PRESENT } from './readers.ts';
import { nounOf, placeText, sentence } from './wording.ts';

/** What a reader brings to the desk: nothing else is known when a report is written, least of all the truth. */
export interface Dictation {
  readonly reader: Reader;
  /** K certainties. */
  readonly said: Int8Array;
  /** K numbers: the reader's evidence, for words of size. */
  readonly evidence: Float64Array;
  readonly places: readonly Place[];
  /** What the report of the patient's study before said, and its evidence. */
  readonly before: { readonly said: Int8Array; readonly evidence: Float64Array } | undefined;
}

/** From top to bottom, as readers go. */
const SECTIONS: readonly (readonly string[])[] = [
  ['Support Devices'],
  ['Consolidation', 'Pneumonia', 'Lung Opacity', 'Lung Lesion', 'Atelectasis', 'Edema'],
  ['Pleural Effusion', 'Pneumothorax', 'Pleural Other'],
  ['Cardiomegaly', 'Enlarged Cardiomediastinum'],
  ['Fracture'],
];
/** Denials that are often said in one breath. */
const ONE_BREATH = ['Consolidation', 'Pleural Effusion', 'Pneumothorax', 'Edema', 'Pneumonia'].map(
  latentIndex,
);
const LUNGS = ['Consolidation', 'Pneumonia', 'Lung Opacity', 'Lung Lesion', 'Atelectasis', 'Edema'].map(
  latentIndex,
);

/** The text of a report: sections, sentences in a reader's own taste. A function of its arguments alone. */
export function writeReport(dictation: Dictation, random: Random): string {
  const { reader, before } = dictation;
  const parts: string[] = [];
  const head = random.uniform();
  if (head < 0.8) parts.push(`${random.uniform() < 0.5 ? 'INDICATION' : 'HISTORY'}: ${one(REASONS, random)}`);
  if (random.uniform() < 0.6) parts.push(`TECHNIQUE: ${one(TECHNIQUES, random)}`);
  const compared =
    before === undefined
      ? ['None.', 'None available.']
      : ['Prior chest radiograph.', 'Chest radiograph of the previous visit.'];
  if (random.uniform() < 0.7) parts.push(`COMPARISON: ${one(compared, random)}`);
  const findings = findingsText(dictation, random);
  const impression = impressionText(dictation, random);
  if (reader.terse > 0.8 && random.uniform() < 0.5) parts.push(`${findings} ${impression}`);
  else if (random.uniform() < 0.08) parts.push(`FINDINGS AND IMPRESSION: ${findings}`);
  else parts.push(`FINDINGS: ${findings}`, `IMPRESSION: ${impression}`);
  return parts.join(reader.taste % 3 === 0 ? '\n\n' : '\n');
}

function findingsText(dictation: Dictation, random: Random): string {
  const { reader, said } = dictation;
  const done = new Set<number>();
  const sentences: string[] = [];
  // Denials of several findings at once, by most readers most of the time.
  const denied = ONE_BREATH.filter((k) => said[k] === 0);
  const breath: string[] = [];
  if (denied.length > 1 && random.uniform() < 0.45 + 0.5 * reader.terse) {
    for (const k of denied) done.add(k);
    breath.push(
      list(
        denied.map((k) => nounOf(k, dictation.places[k], random.uniform(), '', false).bare),
        random,
      ),
    );
  } else if (LUNGS.every((k) => said[k] === 0 || said[k] === SILENT) && LUNGS.some((k) => said[k] === 0)) {
    if (random.uniform() < 0.5)
      breath.push(
        one(['The lungs are clear.', 'Lungs are clear.', 'The lungs are clear bilaterally.'], random),
      );
  }
  SECTIONS.forEach((names, section) => {
    if (section === 1) sentences.push(...breath);
    for (const name of names) {
      const k = latentIndex(name);
      if (said[k] === SILENT || done.has(k)) continue;
      sentences.push(statement(k, dictation, random));
    }
  });
  if (random.uniform() < 0.35 - 0.2 * reader.terse) {
    sentences.splice(random.below(sentences.length + 1), 0, one(ASIDES, random));
  }
  if (sentences.length === 0) sentences.push('As below.');
  return sentences.join(' ');
}

function impressionText(dictation: Dictation, random: Random): string {
  const { said } = dictation;
  const order = Array.from({ length: LATENT }, (_, k) => k).filter((k) => said[k] > 2);
  order.sort((a, b) => said[b] - said[a]);
  const kept = order.filter((k) => said[k] > 4 || random.uniform() < 0.6);
  const pathology = order.some((k) => CLINIC_FINDINGS[k].pathology);
  const sentences = kept
    .filter((k) => CLINIC_FINDINGS[k].pathology || random.uniform() < 0.3)
    .map((k) => sentenceOf(k, said[k], dictation, random));
  if (!pathology) sentences.unshift(one(ALL_WELL, random));
  else if (sentences.length === 0) sentences.push('As above.');
  else if (random.uniform() < 0.15) sentences.push(one(ADVICE, random));
  if (sentences.length > 1 && dictation.reader.taste % 2 === 0)
    return sentences.map((text, i) => `${i + 1}. ${text}`).join(' ');
  return sentences.join(' ');
}

/** What is said of one finding, against the study before where both speak of it. */
function statement(k: number, dictation: Dictation, random: Random): string {
  const { said, before, evidence, places } = dictation;
  const now = said[k];
  const then = before === undefined ? SILENT : before.said[k];
  const compare = random.uniform() < 0.55;
  const share = random.uniform();
  const where = placeText(k, places[k], share);
  const noun = () => nounOf(k, places[k], share, '', true);
  if (compare && then > 5 && now > 6) {
    const change = evidence[k] - before!.evidence[k];
    return sentence(one(change > 1.2 ? MORE : change < -1.2 ? LESS : SAME, random), noun(), where);
  }
  if (compare && then > 5 && now === 0) return sentence(one(GONE, random), noun(), where);
  if (compare && then === 0 && now > 6 && CLINIC_FINDINGS[k].persistence < 0.6)
    return sentence(one(NEW, random), noun(), where);
  return sentenceOf(k, now, dictation, random);
}

function sentenceOf(
  k: number,
  level: number,
  { reader, evidence, places }: Dictation,
  random: Random,
): string {
  const { name, detectability } = CLINIC_FINDINGS[k];
  const own = OWN_WORDS[name];
  const special = random.uniform();
  if (own !== undefined && special < 0.65) {
    if (level === 0) return one(own.absent, random);
    if (level === SURELY_PRESENT && own.present.length > 0) return one(own.present, random);
  }
  const wordings = WORDINGS[level];
  // Half of the time a reader's favourite of the few they have, otherwise any.
  const favourite = (reader.taste + level * 7) % wordings.length;
  const habitual = random.uniform() < 0.5;
  const any = random.below(wordings.length);
  const template =
    name === 'Support Devices' && level > 5
      ? ['{aF}.', '{aF} {is} noted.', '{aF} {is} seen.'][any % 3]
      : wordings[habitual ? (favourite + random.below(3)) % wordings.length : any];
  const share = random.uniform();
  // Where it is, once: hardware is named, and not only said to be there.
  const located = level > 0 && !template.includes('{place}') && random.uniform() < (level > 2 ? 0.85 : 0.35);
  const sized = level > 6 && random.uniform() < 0.6 ? sizeOf(name, evidence[k] - detectability) : '';
  const noun = nounOf(k, places[k], share, sized, located || (name === 'Support Devices' && level > 2));
  return sentence(template, noun, placeText(k, places[k], share));
}

/** Words of size for what has one, by how far the evidence is from the average of those who have the finding. */
function sizeOf(name: string, over: number): string {
  const index = over < -0.5 ? 0 : over < 0.9 ? 1 : 2;
  if (name === 'Pneumothorax' || name === 'Pleural Effusion') return ['small', 'moderate', 'large'][index];
  if (name === 'Cardiomegaly' || name === 'Edema') return ['mild', 'moderate', 'severe'][index];
  if (name === 'Atelectasis') return ['minimal', 'mild', 'marked'][index];
  if (name === 'Lung Lesion') return ['small', '', 'large'][index];
  return '';
}

function list(nouns: readonly string[], random: Random): string {
  const [last, ...rest] = [...nouns].reverse();
  const text = `${rest.reverse().join(', ')}${rest.length > 1 && random.uniform() < 0.5 ? ',' : ''} or ${last}`;
  return one(
    [`No ${text}.`, `There is no ${text}.`, `No evidence of ${text}.`, `There is no evidence of ${text}.`],
    random,
  );
}

function one(of: readonly string[], random: Random): string {
  return of[random.below(of.length)];
}
