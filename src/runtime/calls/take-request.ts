import type { CallOptions } from '../../../schemas/imodel.ts';
import type { Fields } from '../../endpoints/endpoint.ts';
import { withoutField } from '../../endpoints/fields.ts';
import { IModelError } from '../../errors.ts';
import { takeOverrides } from '../../hooks/overrides.ts';
import { refuseNoRequest } from '../checked.ts';
import { checkedCallOptions } from '../checked-call-options.ts';
import type { LiveModel } from '../model/live-model.ts';
import { ApiCalling } from './api-calling.ts';
import type { ModelStream } from './model-stream.ts';
import { openStream } from './open-stream.ts';
import { createAfterHooks, optionsAfterHooks } from './pre-create.ts';
import { runCall } from './run-call.ts';

/** What takes requests: an iModel. A subclass may make its calls in a way of its own. @internal */
export interface RequestTaker {
  readonly live: LiveModel;
  createApiCalling(request: Fields, options: Pick<CallOptions, 'callId'>): ApiCalling;
}

type CreateOptions = Pick<CallOptions, 'callId' | 'signal' | 'caller' | 'timeoutMs'>;

/** See `iModel.invoke`. @internal */
export function invokeRequest(
  model: RequestTaker,
  request: Fields | ApiCalling,
  options: CallOptions,
): Promise<ApiCalling> {
  try {
    const { live } = model;
    const settings = checkedCallOptions(options);
    if (request instanceof ApiCalling) {
      refuseForeign(live, request);
      return runCall(live, request, settings);
    }
    refuseNoRequest(request);
    refuseUsedId(live, settings.callId);
    const own = withoutField(request, 'stream');
    if (!live.hooks.asksBeforeCreation) return runCall(live, model.createApiCalling(own, settings), settings);
    const askedAt = live.clock.now();
    const made = createAsked(model, own, settings);
    return made.then((call) => runCall(live, call, optionsAfterHooks(settings, live, askedAt)));
  } catch (error) {
    return Promise.reject(error);
  }
}

/** See `iModel.stream`. @internal */
export function streamRequest(model: RequestTaker, request: Fields | ApiCalling, options: CallOptions): ModelStream {
  const { live } = model;
  const settings = checkedCallOptions(options);
  if (request instanceof ApiCalling) {
    refuseForeign(live, request);
    if (request.row !== null) {
      throw IModelError.of('conflict', `Call ${request.id} was started before`, { callId: request.id });
    }
    return openStream(live, request, settings, null);
  }
  refuseNoRequest(request);
  refuseUsedId(live, settings.callId);
  const asked = { ...request, stream: true };
  return openStream(live, model.createApiCalling(asked, settings), settings, asked);
}

/** Makes a call once those have been asked who are to be asked before its creation. @internal */
export async function createAsked(model: RequestTaker, request: Fields, options: CreateOptions): Promise<ApiCalling> {
  const { callId, signal: stop, caller, timeoutMs } = options;
  const create = (): ApiCalling => model.createApiCalling(request, callId === undefined ? {} : { callId });
  const { request: own, overrides } = takeOverrides(request);
  return createAfterHooks({ live: model.live, request: own, overrides, create, stop, caller, timeoutMs });
}

/** Its payload is in the terms of another endpoint, and its maker would be asked to cancel it. */
function refuseForeign(live: LiveModel, call: ApiCalling): void {
  if (call.row !== null || call.isOwnedBy(live)) return;
  throw IModelError.of('invalid_request', `Call ${call.id} was made by another iModel, which must run it`, {
    path: 'request',
  });
}

function refuseUsedId(live: LiveModel, callId: string | undefined): void {
  if (callId !== undefined && live.namedCall(callId) !== undefined) {
    throw IModelError.of('conflict', `A call with the id ${callId} has not ended`, { callId });
  }
}
