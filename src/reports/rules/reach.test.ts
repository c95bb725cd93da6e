import { describe, expect, test } from 'vitest';
import { directionOf, type Surroundings } from './reach.ts';

const plain: Surroundings = {
  ahead: false,
  behind: false,
  closes: false,
  before: true,
  inserted: false,
};

describe('where a cue looks that can look both ways', () => {
  test.each<[string, Partial<Surroundings>, 'forward' | 'backward']>([
    ['"opacity, likely pneumonia"', {}, 'forward'],
    ['"likely pneumonia"', { before: false }, 'forward'],
    ['"pneumonia is likely."', { closes: true }, 'backward'],
    ['"pneumonia is likely in the left base"', { closes: true }, 'backward'],
    ['"difficult to exclude in this view a nodule"', { closes: true, before: false }, 'forward'],
    ['"opacity likely to be pneumonia"', { closes: true, ahead: true }, 'forward'],
    ['"film equivocal for pneumothorax"', { closes: true, ahead: true }, 'forward'],
    ['"opacity likely in part due to edema"', { closes: true, ahead: true }, 'forward'],
    ['"effusion is likely present"', { behind: true }, 'backward'],
    [
      '"likely present pneumonia" (a word behind, nothing before)',
      { behind: true, before: false },
      'backward',
    ],
    ['"atelectasis or, less likely, pneumonia"', { closes: true, inserted: true }, 'forward'],
  ])('%s', (_, some, direction) => {
    expect(directionOf({ ...plain, ...some })).toBe(direction);
  });
});
