/** Knowing DICOM files when they are there: they are not read, and that must be said. */
import { readSync } from 'node:fs';
import { openRegular } from '../files/index.ts';

/** Files whose first bytes are looked at. */
const LOOKED_AT = 8;

/** Whether a file is DICOM: by its name, or by `DICM` behind a preamble of 128 bytes (DICOM PS3.10, 7.1). */
export function isDicom(path: string): boolean {
  if (/\.(dcm|dicom|ima)$/i.test(path)) return true;
  try {
    using file = openRegular(path);
    const head = Buffer.alloc(132);
    return (
      readSync(file.descriptor, head, 0, head.length, 0) === head.length &&
      head.toString('latin1', 128) === 'DICM'
    );
  } catch {
    return false;
  }
}

/** What to do where some of the files are DICOM; undefined where none is, by the first few. */
export function dicomHint(paths: readonly string[]): string | undefined {
  const named = paths.some((path) => /\.(dcm|dicom)$/i.test(path));
  if (!named && !paths.slice(0, LOOKED_AT).some(isDicom)) return undefined;
  return 'DICOM files are not read: convert them to 16-bit PNG with all their bits (dcmtk: dcm2img --write-16-bit-png, or pydicom with Pillow), then train with --window auto';
}
