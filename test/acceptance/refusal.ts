import { failure as failureSchema } from '../../schemas/failure.ts';
import { IModelError } from '../../src/index.ts';

/** What a call throws or rejects with; fails when it does neither. */
export async function refusal(act: () => unknown): Promise<IModelError> {
  try {
    await act();
  } catch (error) {
    // Whatever is wrong with the input, the error is ours, and can travel.
    if (!IModelError.is(error)) throw error;
    failureSchema.parse(error.failure);
    return error;
  }
  throw new Error('Expected a refusal');
}
