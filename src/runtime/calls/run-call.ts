import type { CallOptions } from '../../../schemas/imodel.ts';
import type { LiveModel } from '../model/live-model.ts';
import type { ApiCalling } from './api-calling.ts';
import { discardingSink } from './chunk-buffer.ts';

/**
 * Submits a call that was not submitted before, and resolves with it when it has ended.
 *
 * @throws IModelError what the call ended with, where that is a rejection; see `iModel.invoke`.
 * @internal
 */
export function runCall(live: LiveModel, call: ApiCalling, options: CallOptions): Promise<ApiCalling> {
  if (call.row === null) {
    if (call.payload.stream === true) call.sink = discardingSink;
    live.submit(call, options);
  }
  const raises = options.raiseOnError === true;
  return new Promise((resolve, reject) => {
    call.onEnd((ended) => {
      if (rejects(ended, raises)) reject(ended.error);
      else resolve(ended);
    });
  });
}

/** Whether an ended call is a rejection of `invoke` or its result. */
function rejects(call: ApiCalling, raiseOnError: boolean): boolean {
  switch (call.status) {
    case 'completed':
      return false;
    case 'failed':
      return raiseOnError || call.failure?.code === 'missing_api_key' || call.failure?.code === 'invalid_request';
    default:
      return true;
  }
}
