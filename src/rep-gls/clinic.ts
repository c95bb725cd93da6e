import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CLINIC_CARD, writeClinic } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { readRegular, waitForLock } from '../files/index.ts';
import { type ClinicOptions, dialsOf } from '../phantom/index.ts';
import { claimRun } from './names.ts';

export interface DrawClinicOptions {
  readonly dials: ClinicOptions;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number) => void;
}

/**
 * A virtual chest clinic in a folder, drawn unless it is there with the same dials.
 * @throws `rep-gls/clinic` where one with other dials is there
 */
export async function drawClinic(
  clinic: string,
  { dials, signal, onProgress }: DrawClinicOptions,
): Promise<void> {
  claimRun(dirname(clinic));
  using _lock = await waitForLock(join(dirname(clinic), 'draw.lock'), { what: clinic, signal });
  const card = join(clinic, CLINIC_CARD);
  if (!existsSync(card)) {
    await writeClinic(clinic, { ...dials, ...(onProgress && { onProgress }) });
    return;
  }
  const wanted: Readonly<Record<string, number>> = dialsOf(dials);
  const there = clinicDials(clinic);
  const other = Object.keys(wanted).find((dial) => there?.[dial] !== wanted[dial]);
  if (other === undefined) return;
  throw new PenumbraError(
    'rep-gls/clinic',
    `${clinic} was drawn with ${other} ${there?.[other]}, and ${wanted[other]} is asked for`,
    { hint: 'choose another --out folder', where: { file: card } },
  );
}

/** What a clinic's folder holds for each stage; undefined for a folder that is none. */
export function clinicParts(folder: string): { images: string; reports: string; truth: string } | undefined {
  if (!existsSync(join(folder, CLINIC_CARD))) return undefined;
  return { images: join(folder, 'labels.csv'), reports: join(folder, 'reports.csv'), truth: folder };
}

/** The dials that a clinic was drawn with; undefined for a folder that is none. */
export function clinicDials(folder: string): Readonly<Record<string, number>> | undefined {
  const card = join(folder, CLINIC_CARD);
  if (!existsSync(card)) return undefined;
  return (JSON.parse(readRegular(card).toString('utf8')) as { dials?: Record<string, number> }).dials;
}
