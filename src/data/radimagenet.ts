import { PenumbraError } from '../errors.ts';
import { nearest } from '../nearest.ts';

/** What the name of a RadImageNet class says. */
export interface RadImageNetClass {
  readonly modality: 'CT' | 'MR' | 'US';
  /** One of nine; with the modality, one of the 11 that the paper counts. */
  readonly anatomy: string;
  /** In words: `soft tissue edema`, `normal`; for ultrasound an organ. */
  readonly finding: string;
}

/**
 * The findings of RadImageNet (Mei et al., Radiology: Artificial Intelligence 2022;4(5):e210315), by modality and
 * anatomy, as the published names spell them.
 */
const FINDINGS: Readonly<Record<string, string>> = {
  CT_abd:
    'abnormal_entire_organ adrenal_pathology arterial_pathology ascites bil_dil bladder_pathology ' +
    'bowel_abnormality bowel_inflammation bowel_mass degenerative_changes dilated_urinary_tract ' +
    'fat_containing_tumor gallbladder_pathology gallstone intraperitoneal_mass liver_lesion normal ' +
    'osseous_neoplasm ovarian_pathology pancreatic_lesion post_op prostate_lesion renal_lesion ' +
    'soft_tissue_collection soft_tissue_mass splenic_lesion urolithiasis uterine_pathology',
  CT_lung: 'Airspace_opacity Bronchiectasis Nodule Parenchyma_destruction interstitial_lung_disease normal',
  MR_af:
    'Plantar_plate_tear achilles_pathology_ atfl_pathology bone_inflammation cfl_pathology ' +
    'chondral_abnormality coalition deltoid_pathology extensor_pathology_ fat_containing_tumor ' +
    'flexor_pathology_ hematoma intra lisfranc_pathology normal osseous_disruption osseous_neoplasm ' +
    'peroneal_pathology plantar_fascia_pathology post_op soft_tissue_edema soft_tissue_fluid ' +
    'soft_tissue_mass spring_ligament_injury syndesmosis_pathology',
  MR_brain:
    'acute_infarct arteriovenous_anomaly chronic_infarct edema extra focal_flair_hyper intra normal ' +
    'pituatary_lesion white_matter_changes',
  MR_hip:
    'abductor_pathology_ capsular_pathology chondral_pathology hamstring_pathology hematoma ' +
    'labral_pathology marrow_inflammation normal osseous_disruption osseous_lesion post_op ' +
    'soft_tissue_edema soft_tissue_fluid soft_tissue_mass',
  MR_knee:
    'acl_pathology bone_inflammation chondral_abnormality fcl_pathology fracture hematoma intra ' +
    'mcl_pathology meniscal_abnormality muscle_strain normal patella_pathology pcl_pathology ' +
    'post_operative_acl quad_pathology soft_tissue_edema soft_tissue_fluid_collection ' +
    'soft_tissue_mass',
  MR_mriabd:
    'adrenal_pathology arterial_pathology ascites bil_dil bladder_pathology bowel_abnormality ' +
    'bowel_inflammation bowel_mass degenerative_changes dilated_urinary_tract enlarged_organ ' +
    'gallbladder_pathology intraperitoneal_mass liver_disease_ liver_lesion marrow_abn normal ' +
    'osseous_neoplasm ovarian_pathology pancreatic_lesion prostate_lesion renal_lesion ' +
    'soft_tissue_collection soft_tissue_mass splenic_lesion uterine_pathology',
  MR_shoulder:
    'acj_oa biceps_pathology ca++_tendinosis ghj_oa infraspinatus_pathology labral_pathology ' +
    'marrow_inflammation normal osseous_lesion post_op soft_tissue_edema soft_tissue_fluid ' +
    'subscapularis_pathology supraspinatus_pathology',
  MR_spine:
    'cord_pathology_ cystic_lesions disc_pathology dural_epidural_abn facet_arthropathy ' +
    'foraminal_pathlogy normal osseous_abn scoliosis',
  US_usabd: 'aorta bladder cbd fibroid gb ivc kidney liver ovary pancreas portal_vein spleen uterus',
  US_usthyroid: 'thyroid thyroid_nodule',
};

/** The second part of a name: the anatomy, in which the authors' short forms repeat some modalities. */
const ANATOMIES: Readonly<Record<string, string>> = {
  abd: 'abdomen',
  mriabd: 'abdomen',
  usabd: 'abdomen',
  af: 'ankle and foot',
  brain: 'brain',
  hip: 'hip',
  knee: 'knee',
  lung: 'lung',
  shoulder: 'shoulder',
  spine: 'spine',
  usthyroid: 'thyroid',
};

/** The 165 class names, `<modality>_<anatomy>_<finding>`, by code point. */
export const RADIMAGENET_CLASSES: readonly string[] = Object.entries(FINDINGS).flatMap(([region, findings]) =>
  findings.split(' ').map((finding) => `${region}_${finding}`),
);

/**
 * Modality, anatomy and finding of a class.
 *
 * @throws {PenumbraError} `data/unknown-class` with the nearest name.
 */
export function radImageNetClass(name: string): RadImageNetClass {
  if (!RADIMAGENET_CLASSES.includes(name)) {
    throw new PenumbraError('data/unknown-class', `'${name}' is not one of RadImageNet's 165 classes`, {
      where: { class: name },
      hint: `the nearest is ${nearest(name, RADIMAGENET_CLASSES)}`,
    });
  }
  const [modality, anatomy, ...finding] = name.split('_');
  return {
    modality: modality as RadImageNetClass['modality'],
    anatomy: ANATOMIES[anatomy],
    finding: finding.join(' ').trim(),
  };
}

/** What RadImageNet's figures are reported by: for each division, the stratum of each class. */
export function radImageNetStrata(classes: readonly string[]): Record<'modality' | 'anatomy', string[]> {
  const all = classes.map(radImageNetClass);
  return {
    modality: all.map(({ modality }) => modality),
    anatomy: all.map(({ modality, anatomy }) => `${modality} ${anatomy}`),
  };
}

/**
 * The class that a row of RadImageNet's tables means. Copies of the tables differ: a label is the whole name, or
 * without the modality (`abd-normal`), or the finding alone, and the folder (`radiology_ai/MR/knee/…/`, for ultrasound
 * without the anatomy: `radiology_ai/US/liver/`) tells the rest. Case, spaces, hyphens and underscores do not matter.
 *
 * @param folder of the file, with forward slashes.
 * @returns undefined where it is none of the 165.
 */
export function radImageNetClassOf(label: string, folder: string): string | undefined {
  // The published names end at the hyphen of `intra-…` and `extra-…`.
  const key = keyOf(label).replace(/(^|_)(intra|extra)_.*/, '$1$2');
  const [, modality, anatomy] = /(?:^|\/)(CT|MR|US)\/(?:([^/]+)\/)?/i.exec(folder) ?? [];
  const inFolder = modality && [
    `${keyOf(modality)}_${keyOf(anatomy ?? '')}_${key}`,
    `${keyOf(modality)}_${key}`,
  ];
  const found = [key, ...(inFolder || [])].find((candidate) => KEYS.has(candidate));
  return found && KEYS.get(found);
}

/** Class names by all that may stand for them: whole, without the modality, and, where that is one, without the anatomy. */
const KEYS: ReadonlyMap<string, string> = classKeys();

function classKeys(): Map<string, string> {
  const keys = new Map<string, string>();
  const short = new Map<string, string | undefined>();
  for (const name of RADIMAGENET_CLASSES) {
    const [modality, anatomy, ...finding] = name.split('_');
    keys.set(keyOf(name), name);
    keys.set(keyOf(`${anatomy}_${finding.join('_')}`), name);
    const key = keyOf(`${modality}_${finding.join('_')}`);
    short.set(key, short.has(key) ? undefined : name);
  }
  for (const [key, name] of short) if (name !== undefined && !keys.has(key)) keys.set(key, name);
  return keys;
}

function keyOf(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_|_$/g, '');
}
