import { IModelError } from '../../../src/errors.ts';

/** The error that an action throws. */
export function thrown(action: () => unknown): IModelError {
  try {
    action();
  } catch (error) {
    if (IModelError.is(error)) return error;
    throw error;
  }
  throw new Error('Nothing was thrown');
}
