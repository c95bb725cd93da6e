/**
 * How radiologists put certainty into words: many wordings for each of nine certainties (`CERTAINTY_BOUNDS`). `{F}` is
 * the bare finding ("left pleural effusion"), `{aF}` the same with its article where it has one, `{is}` agrees with it,
 * `{place}` is where. The table is the clinic's own: it was written from how reports read, without probabilities, and no
 * extractor is set by it or it by an extractor.
 */
export const WORDINGS: readonly (readonly string[])[] = [
  // 0: surely absent
  [
    'There {is} no {F}.',
    'No {F}.',
    'No evidence of {F}.',
    'No {F} {is} seen.',
    'There is no evidence of {F}.',
    'No {F} {is} identified.',
    'Negative for {F}.',
    'No radiographic evidence of {F}.',
    '{F} {is} absent.',
    'No {F} {is} present.',
  ],
  // 1: hardly
  [
    'No definite {F}.',
    'No convincing evidence of {F}.',
    'No obvious {F}.',
    'No {F} {is} clearly identified.',
    'No {F} of note.',
    'I see no good evidence of {F}.',
    'No {F} {is} appreciated on this single view.',
    'Nothing to strongly suggest {F}.',
    'Very unlikely to be {aF}.',
  ],
  // 2: rather not
  [
    '{F} {is} considered unlikely.',
    '{F} {is} felt to be less likely.',
    'Doubtful {F}.',
    'Subtle change {place} is unlikely to represent {F}.',
    'There is low suspicion for {F}.',
    '{F} {is} not favored.',
    'The appearance {place} is probably projectional rather than {F}.',
    'Findings {place} argue against {F}.',
    'There is little to support {F}.',
  ],
  // 3: not excluded
  [
    '{F} cannot be excluded.',
    '{F} {is} not entirely excluded.',
    '{F} would be difficult to exclude.',
    'A component of {F} cannot be ruled out.',
    'Underlying {F} {is} not excluded.',
    'Cannot rule out {F}.',
    '{F} {is} hard to rule out on this examination.',
    'Early {F} cannot be dismissed.',
    'The differential includes {F}.',
  ],
  // 4: even
  [
    'Possible {F}.',
    'There may be {aF}.',
    'Question of {F}.',
    '{F} {is} possible.',
    'Questionable {F}.',
    'The appearance {place} may represent {F}.',
    'Equivocal for {F}.',
    'This could reflect {F}.',
    'Perhaps {aF}.',
    'Changes {place} might be due to {F}.',
    'Indeterminate for {F}.',
  ],
  // 5: rather
  [
    'Suspected {F}.',
    'Findings {place} suggest {F}.',
    'The appearance {place} raises concern for {F}.',
    'Findings are suspicious for {F}.',
    'The appearance is suggestive of {F}.',
    'This is favored to reflect {F}.',
    'There appears to be {aF}.',
    'Findings are worrisome for {F}.',
    'Presumed {F}.',
    'This is thought to represent {F}.',
  ],
  // 6: likely
  [
    'Probable {F}.',
    'Likely {F}.',
    'There {is} likely {aF}.',
    'The appearance {place} most likely represents {F}.',
    'This probably reflects {F}.',
    'There {is} probably {aF}.',
    'High suspicion for {F}.',
    'Findings are strongly suggestive of {F}.',
    '{F} {is} likely.',
    'In all likelihood {aF}.',
  ],
  // 7: hardly not
  [
    'Findings {place} are consistent with {F}.',
    'The appearance is compatible with {F}.',
    'Findings are in keeping with {F}.',
    'The appearance {place} is typical of {F}.',
    'This almost certainly represents {F}.',
    'Findings represent {F}.',
    'There {is} {aF}.',
    '{aF} {is} noted.',
  ],
  // 8: surely present
  [
    'There {is} {aF}.',
    '{aF} {is} present.',
    '{aF} {is} seen.',
    '{aF} {is} demonstrated.',
    'Definite {F}.',
    'There {is} clearly {aF}.',
    '{aF} {is} identified.',
    'Obvious {F}.',
    '{aF}.',
    'Unequivocal {F}.',
  ],
];

/** How it compares with the study before. Only for what the earlier report called present. */
export const SAME = [
  'Unchanged {F}.',
  '{F} {is} stable.',
  'No significant change in {F}.',
  'Stable appearance of {F}.',
  '{F}, not significantly changed from the prior study.',
  'Persistent {F}.',
];
export const MORE = [
  'Interval increase in {F}.',
  '{F} {has} increased since the prior exam.',
  'Worsening {F}.',
  'Slightly larger {F} than before.',
];
export const LESS = [
  '{F} {has} decreased in extent.',
  'Improving {F}.',
  '{F}, slightly less than on the prior study.',
  'Interval decrease in {F}.',
];
export const GONE = [
  'Previously seen {F} {has} resolved.',
  'Interval resolution of {F}.',
  'The {F} described on the prior study {is} no longer seen.',
  'Previously noted {F} {has} cleared.',
];
export const NEW = ['New {F}.', 'Interval development of {F}.', '{aF} {is} new since the prior study.'];

/** Why the picture was taken: a question, a complaint, a past. Nothing in it says what the picture shows. */
export const REASONS = [
  'Shortness of breath.',
  'Chest pain.',
  'Cough and fever.',
  'Dyspnea, evaluate for pneumonia.',
  'Rule out pneumothorax.',
  'Preoperative evaluation.',
  'Fever, question of infiltrate.',
  'History of congestive heart failure, now with dyspnea.',
  'Status post fall, evaluate for rib fracture.',
  'Hypoxia.',
  'Altered mental status.',
  'Follow-up of pleural effusion.',
  'History of lung cancer.',
  'Leukocytosis, assess for pneumonia.',
  'Line placement.',
  'Weakness.',
  'History of prior pneumonia, cough.',
  'Syncope.',
  'Wheezing, history of asthma.',
  'Assess for pulmonary edema.',
];

export const TECHNIQUES = [
  'Single frontal view of the chest.',
  'Portable AP view of the chest.',
  'AP upright chest radiograph.',
  'One view chest.',
  'Frontal chest radiograph was obtained.',
];

/** Sentences that say nothing of a finding, or put one under a condition. */
export const ASIDES = [
  'Clinical correlation is recommended.',
  'The patient is slightly rotated.',
  'Lung volumes are slightly low.',
  'The upper abdomen is unremarkable.',
  'Degenerative changes of the thoracic spine.',
  'The aorta is mildly tortuous.',
  'Evaluation is limited by technique.',
  'If there is continued concern for rib fracture, dedicated views are suggested.',
  'Lateral view would be helpful if pneumonia remains a clinical concern.',
  'Soft tissues are unremarkable.',
  'Overlying leads partly obscure the chest.',
  'Calcified granuloma, unchanged.',
];

export const ADVICE = [
  'Recommend follow-up radiograph to ensure resolution.',
  'Short interval follow-up is suggested.',
  'CT could be obtained for further evaluation.',
  'Findings were discussed with the referring team by telephone.',
];

export const ALL_WELL = [
  'No acute cardiopulmonary process.',
  'No acute cardiopulmonary abnormality.',
  'Normal chest radiograph.',
  'No acute intrathoracic process.',
  'No acute disease.',
  'Unremarkable chest.',
];

/** Own ways to deny or to assert what has a structure of its own, by finding. */
export const OWN_WORDS: Readonly<
  Record<string, { readonly absent: readonly string[]; readonly present: readonly string[] }>
> = {
  Cardiomegaly: {
    absent: [
      'Heart size is normal.',
      'The cardiac silhouette is normal in size.',
      'The heart is not enlarged.',
      'Normal heart size.',
      'The heart size is within normal limits.',
    ],
    present: [
      'The heart is enlarged.',
      'The cardiac silhouette is enlarged.',
      'Heart size is moderately enlarged.',
      'The heart is mildly enlarged.',
      'Marked enlargement of the cardiac silhouette.',
    ],
  },
  'Enlarged Cardiomediastinum': {
    absent: [
      'Mediastinal contours are normal.',
      'The mediastinum is unremarkable.',
      'The mediastinal contours are within normal limits.',
      'No mediastinal widening.',
    ],
    present: [
      'The mediastinum is widened.',
      'Widening of the superior mediastinum.',
      'The mediastinal contour is prominent.',
    ],
  },
  Fracture: {
    absent: [
      'The osseous structures are intact.',
      'No acute osseous abnormality.',
      'No displaced rib fracture.',
      'Bony structures are unremarkable.',
    ],
    present: [],
  },
  Edema: {
    absent: ['Pulmonary vasculature is normal.', 'No vascular congestion.'],
    present: ['Pulmonary vascular congestion with edema.'],
  },
};
