import type { WireCall } from '../../../schemas/call.ts';
import type { Failure } from '../../../schemas/failure.ts';
import type { Headers } from '../../bus/bus.ts';
import { failureHeaders } from '../../bus/headers.ts';
import type { ApiCalling } from '../calls/api-calling.ts';

/** The headers of the message that tells how a call ended: why it failed, and the trace it belongs to; undefined for most. */
export function outcomeHeaders({ failure, trace }: ApiCalling): Headers | undefined {
  if (failure === null) return trace ?? undefined;
  return { ...trace, ...failureHeaders(failure) };
}

/** What a reader learns of a call whose answer cannot be sent: everything but the answer, and why. */
export function withoutAnswer(call: WireCall, failure: Failure): WireCall {
  const { code, message, retryable } = failure;
  return {
    ...call,
    execution: { ...call.execution, status: 'failed', response: null, error: { error: code, message }, retryable },
    text: '',
    thinking: '',
    tool_uses: [],
    failure,
  };
}
