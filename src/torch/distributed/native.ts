import { PenumbraError } from '../../errors.ts';
import { type NativeDistributed, native } from '../native.ts';

/**
 * The data-parallel half of the add-on.
 * @throws `distributed/no-c10d`
 */
export function c10d(): NativeDistributed {
  if (native.openStore !== undefined) return native as unknown as NativeDistributed;
  throw new PenumbraError(
    'distributed/no-c10d',
    'this LibTorch was built without c10d and Gloo, which several processes need to train together',
    { hint: 'use the LibTorch of a PyTorch wheel: PENUMBRA_LIBTORCH=auto npx penumbra setup' },
  );
}

/** Whether processes can train together with this LibTorch. */
export function available(): boolean {
  return native.openStore !== undefined;
}
