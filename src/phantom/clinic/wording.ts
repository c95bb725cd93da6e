import { type Device, devicesOf } from './drawing.ts';
import { CLINIC_FINDINGS } from './findings.ts';
import type { Place } from './places.ts';

/** A finding as a noun: bare, with its article, and whether it takes a plural verb. */
export interface Noun {
  readonly bare: string;
  readonly article: 'a' | 'an' | '';
  readonly plural: boolean;
}

const ZONES = [
  ['upper lobe', 'upper lung', 'apex'],
  ['mid lung', 'perihilar region', 'mid zone'],
  ['lower lobe', 'base', 'lower lung'],
] as const;

const DEVICES: Readonly<Record<Device, readonly string[]>> = {
  pacemaker: ['dual lead pacemaker with leads in expected position', 'left chest wall pacemaker'],
  line: ['right internal jugular central venous catheter with tip in the SVC', 'right IJ central line'],
  picc: ['right PICC with tip in the lower SVC', 'right upper extremity PICC line'],
  tube: ['endotracheal tube above the carina', 'endotracheal tube in satisfactory position'],
  wires: ['median sternotomy wires', 'intact sternal wires'],
  feeding: ['enteric tube coursing below the diaphragm', 'nasogastric tube with tip in the stomach'],
  drain: ['chest tube', 'pleural drainage catheter'],
};

/** A number below n that goes by a share. */
function choice(share: number, n: number): number {
  return Math.min(n - 1, Math.floor(share * n));
}

/** Where a finding is: "at the left base". */
export function placeText(k: number, { side, zone }: Place, share: number): string {
  const { name } = CLINIC_FINDINGS[k];
  if (name === 'Cardiomegaly') return 'of the cardiac contour';
  if (name === 'Enlarged Cardiomediastinum') return 'of the upper mediastinum';
  if (name === 'Edema') return 'in both lungs';
  const words = ZONES[zone];
  const word = words[choice(share, words.length)];
  if (side === 'both') return zone === 2 ? 'at both bases' : zone === 1 ? 'in both lungs' : 'at both apices';
  return `${word === 'base' || word === 'apex' ? 'at' : 'in'} the ${side} ${word}`;
}

/**
 * The name of a finding in a report.
 *
 * @param share in [0, 1): which of the synonyms.
 * @param sized a word of size, or '' (nothing is measured in what is denied or doubted).
 * @param located whether to say where.
 */
export function nounOf(k: number, place: Place, share: number, sized: string, located: boolean): Noun {
  const { name } = CLINIC_FINDINGS[k];
  const both = place.side === 'both';
  const side = located && !both ? `${place.side} ` : located && both ? 'bilateral ' : '';
  const zone = ZONES[place.zone][choice(share, 3)];
  const lobar = located
    ? both
      ? ['bilateral ', 'bibasilar '][place.zone === 2 ? 1 : 0]
      : `${place.side} ${zone === 'base' ? 'basilar' : zone === 'apex' ? 'apical' : zone} `
    : '';
  const pick = (...words: readonly string[]) => words[choice((share * 7.3) % 1, words.length)];
  const size = sized === '' ? '' : `${sized} `;
  const counted = (bare: string, plural = false): Noun => ({
    bare,
    article: plural ? '' : /^[aeiou]/.test(bare) ? 'an' : 'a',
    plural,
  });
  const mass = (bare: string): Noun => ({ bare, article: '', plural: false });
  switch (name) {
    case 'Enlarged Cardiomediastinum':
      return mass(
        pick(
          'mediastinal widening',
          'widening of the mediastinum',
          'enlargement of the cardiomediastinal silhouette',
        ),
      );
    case 'Cardiomegaly':
      return mass(size + pick('cardiomegaly', 'cardiac enlargement', 'enlargement of the heart'));
    case 'Lung Lesion': {
      const several = place.form % 5 < 2;
      const what = several
        ? pick('pulmonary nodules', 'lung nodules')
        : pick('pulmonary nodule', 'nodule', place.size > 0.7 ? 'mass' : 'nodular lesion');
      return counted(several ? `${size}${what}` : `${size}${lobar}${what}`, several);
    }
    case 'Lung Opacity':
      return counted(
        size +
          (located ? pick('hazy ', 'patchy ', '') : '') +
          lobar +
          (both && located ? 'opacities' : 'opacity'),
        both && located,
      );
    case 'Edema':
      return mass(size + pick('pulmonary edema', 'interstitial edema', 'edema', 'vascular congestion'));
    case 'Consolidation':
      return mass(
        lobar +
          (located ? '' : pick('focal ', '', 'lobar ')) +
          pick('consolidation', 'airspace consolidation'),
      );
    case 'Pneumonia':
      return mass(lobar + pick('pneumonia', 'pneumonia', 'infectious process', 'bronchopneumonia'));
    case 'Atelectasis':
      return mass(
        size +
          lobar +
          pick('atelectasis', 'subsegmental atelectasis', 'linear atelectasis', 'atelectatic change'),
      );
    case 'Pneumothorax':
      return counted(size + side + (located ? pick('apical ', '') : '') + 'pneumothorax');
    case 'Pleural Effusion':
      return both && located
        ? counted(`${size}bilateral pleural effusions`, true)
        : counted(size + side + pick('pleural effusion', 'pleural effusion', 'effusion'));
    case 'Pleural Other':
      return mass(
        side +
          (place.form % 3 === 0
            ? pick('pleural plaque formation', 'calcified pleural thickening')
            : pick('pleural thickening', 'apical pleural thickening', 'pleural scarring')),
      );
    case 'Fracture':
      return place.form % 2 === 1 && located
        ? counted(`${side}rib fractures`, true)
        : counted(`${side}rib fracture`);
    default: {
      const devices = devicesOf(place);
      const names = devices.map((device) => DEVICES[device][choice(share, 2)]);
      if (!located) return counted(pick('support device', 'line or tube', 'indwelling catheter'));
      const plural = devices.length > 1 || devices[0] === 'wires';
      return counted(names.join(', ').replace(/, (?=[^,]*$)/, ' and '), plural);
    }
  }
}

/** The template with its noun: a sentence with a capital and a full stop. */
export function sentence(template: string, noun: Noun, where: string): string {
  const article = noun.article === '' ? noun.bare : `${noun.article} ${noun.bare}`;
  const text = template
    .replaceAll('{aF}', article)
    .replaceAll('{F}', noun.bare)
    .replaceAll('{is}', noun.plural ? 'are' : 'is')
    .replaceAll('{has}', noun.plural ? 'have' : 'has')
    .replaceAll('{place}', where);
  return text[0].toUpperCase() + text.slice(1);
}
