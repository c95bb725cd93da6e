/** One of the thirteen latent findings; the fourteenth, No Finding, is the absence of the pathologies among them. */
export interface ClinicFinding {
  readonly name: string;
  /** π: share of the studies that have it, with the dial `prevalence` at 1. */
  readonly prevalence: number;
  /** Loadings a on the three factors of the copula: fluid, infection, injury. |a| < 1. */
  readonly loadings: readonly [fluid: number, infection: number, injury: number];
  /** d: distance between present and absent on the evidence scale, in its standard deviations. AUROC = Φ(d / √2). */
  readonly detectability: number;
  /** Correlation of its own part between two studies of a patient, in [0, 1). */
  readonly persistence: number;
  /** How often a report says that it is absent, where it is and nobody keeps silent. */
  readonly routine: number;
  /** Whether it counts against No Finding. */
  readonly pathology: boolean;
}

/**
 * CheXpert's observations (Irvin et al. 2019) in its order, without No Finding. The numbers are our choice: a long tail
 * like CheXpert's, fluid that comes with the heart, infection with lost volume, injury with tubes and air.
 */
export const CLINIC_FINDINGS: readonly ClinicFinding[] = [
  finding('Enlarged Cardiomediastinum', 0.04, [0.45, 0, 0.2], 1.7, 0.7, 0.75),
  finding('Cardiomegaly', 0.18, [0.65, 0, 0], 2.2, 0.85, 0.9),
  finding('Lung Lesion', 0.035, [0, 0.15, 0], 2, 0.8, 0.25),
  finding('Lung Opacity', 0.2, [0.25, 0.55, 0.1], 2, 0.4, 0.35),
  finding('Edema', 0.13, [0.75, 0.05, 0], 2.2, 0.3, 0.6),
  finding('Consolidation', 0.06, [0.1, 0.7, 0], 2.2, 0.35, 0.9),
  finding('Pneumonia', 0.08, [0.05, 0.75, 0], 1.6, 0.3, 0.35),
  finding('Atelectasis', 0.18, [0.35, 0.35, 0.3], 1.9, 0.4, 0.15),
  finding('Pneumothorax', 0.04, [0, 0, 0.65], 2.3, 0.4, 0.95),
  finding('Pleural Effusion', 0.22, [0.65, 0.3, 0.2], 2.6, 0.5, 0.95),
  finding('Pleural Other', 0.012, [0, 0.2, 0.1], 1.8, 0.9, 0.05),
  finding('Fracture', 0.025, [0, 0, 0.55], 2, 0.8, 0.55),
  { ...finding('Support Devices', 0.28, [0.45, 0.25, 0.45], 5, 0.6, 0.08), pathology: false },
];

/** K = 13. */
export const LATENT = CLINIC_FINDINGS.length;

/** CheXpert's fourteen names in its order: No Finding, then the latent ones. */
export const CLINIC_NAMES: readonly string[] = ['No Finding', ...CLINIC_FINDINGS.map(({ name }) => name)];

/** The number of a finding among the latent ones. */
export function latentIndex(name: string): number {
  return CLINIC_FINDINGS.findIndex((candidate) => candidate.name === name);
}

function finding(
  name: string,
  prevalence: number,
  loadings: ClinicFinding['loadings'],
  detectability: number,
  persistence: number,
  routine: number,
): ClinicFinding {
  return { name, prevalence, loadings, detectability, persistence, routine, pathology: true };
}
