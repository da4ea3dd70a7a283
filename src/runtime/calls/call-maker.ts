import type { Clock } from '../../../actors/clock.ts';
import type { Endpoint, Fields } from '../../endpoints/endpoint.ts';
import { ownRequest } from '../../endpoints/unwritable.ts';
import type { CallClass } from '../../hooks/hook.ts';
import { takeOverrides } from '../../hooks/overrides.ts';
import type { ModelHooks } from '../model/model-hooks.ts';
import type { ApiCalling } from './api-calling.ts';
import type { Caching } from './caching.ts';
import type { CallOwner } from './call-owner.ts';
import { callClassOf } from './pre-create.ts';
import { type PreparedRequest, prepareRequest } from './prepare-request.ts';

/** What a {@link CallMaker} is made from. @internal */
export interface CallMakerInit {
  readonly endpoint: Endpoint;
  readonly clock: Clock;
  readonly caching: Caching;
  readonly hooks: ModelHooks;
  /** Whether another model may have to be asked, and so what was asked for is kept. */
  readonly hasFallbacks: boolean;
  /** The session to resume; null when there is none. */
  readonly sessionId: () => string | null;
  readonly createId: () => string;
  /** Whose calls they are. */
  readonly owner: CallOwner;
}

/** Makes the calls of one iModel out of requests. None is sent here, and no hook runs. @internal */
export class CallMaker {
  readonly #init: CallMakerInit;

  constructor(init: CallMakerInit) {
    this.#init = init;
  }

  /** A pending call for a request, with what that says of hooks and of earlier answers. @throws IModelError `invalid_request` */
  make(request: Fields, callId: string | undefined): ApiCalling {
    const { hasFallbacks, hooks } = this.#init;
    const { request: own, overrides } = takeOverrides(request);
    const { payload, transport, body, isCached } = this.prepare(own);
    const call = this.#create(callClassOf(overrides), payload, transport, callId);
    call.isCached = isCached;
    if (overrides !== null) hooks.attach(call, overrides);
    if (hasFallbacks || hooks.onBus?.showsRequests === true) call.request = ownRequest(body);
    return call;
  }

  /** A pending call in place of one that was made before, of the same class. */
  renew(call: ApiCalling, payload: Fields, transport: Fields, metadata: Record<string, unknown>): ApiCalling {
    return this.#create(call.constructor as CallClass, payload, transport, undefined, metadata);
  }

  /** What a call is sent with for a request that says nothing of hooks. @throws IModelError `invalid_request` */
  prepare(given: Fields): PreparedRequest {
    const { endpoint, caching, sessionId } = this.#init;
    const { request, isCached } = caching.take(given);
    const { payload, transport, body } = prepareRequest(endpoint, request, sessionId());
    // Written out: to spread one object and add to it takes ten times as long as all that is done for its fields.
    return { payload, transport, body, isCached };
  }

  #create(
    callClass: CallClass,
    payload: Fields,
    transport: Fields,
    callId: string | undefined,
    metadata?: Record<string, unknown>,
  ): ApiCalling {
    const { clock, createId, owner } = this.#init;
    return new callClass({ id: callId ?? createId(), createdAtMs: clock.now(), payload, transport, owner, metadata });
  }
}
