import { PenumbraError } from '../errors.ts';

/** @throws {PenumbraError} `phantom/option` for a value outside its range. */
export function checked(name: string, value: number, min: number, max: number, whole: boolean): number {
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
  throw new PenumbraError(
    'phantom/option',
    `${name} must be ${whole ? 'an integer' : 'a number'} from ${min} to ${max}, not ${value}`,
    { where: { argument: name } },
  );
}
