/**
 * Files as every verb uses them: locks, replacement, temporaries, safe opening, identity. It knows nothing of what is in
 * the files. Nothing else in this project opens a file of the user's to write.
 */
export { type Claim, claimFolder } from './claim.ts';
export { checkDistinct } from './distinct.ts';
export { fileError, systemCode } from './failure.ts';
export { type FileIdentity, fileIdentity, Identity } from './identity.ts';
export { type Lock, type LockOptions, takeLock, waitForLock } from './lock.ts';
export { isBelow, type OpenOptions, openRegular, RegularFile, readRegular, resolveInside } from './open.ts';
export { MANIFEST, type OutputFolderOptions, writeFolder } from './output-folder.ts';
export {
  checkResult,
  type ResultKind,
  type ResultOptions,
  writeNamedResult,
  writePiecesResult,
  writeResult,
} from './result.ts';
export { markdownText, printable, shapeOf, spreadsheetCell, spreadsheetCellSql } from './text.ts';
export {
  appendToLog,
  cutLog,
  makeFolder,
  openLog,
  openNew,
  putInPlace,
  removeEmptyFolder,
  removeFile,
  removeFromDraft,
  removeTemporaries,
  removeTemporariesOf,
  syncFolder,
  temporaryFor,
  writeAll,
  writeNamed,
  writeNew,
  writePieces,
  writeWhole,
  writeWith,
} from './write.ts';
