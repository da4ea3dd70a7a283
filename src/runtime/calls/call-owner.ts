import type { Usage } from '../../../schemas/chunk.ts';
import type { Fields } from '../../endpoints/endpoint.ts';
import type { ApiCalling } from './api-calling.ts';
import type { PreparedRequest } from './prepare-request.ts';

/** What a call needs of the iModel that made it. @internal */
export interface CallOwner {
  /** Ends the call as cancelled; see {@link ApiCalling.cancel}. */
  cancel(call: ApiCalling, reason?: unknown): void;
  /** Ends the call as failed, for a reason that is not the endpoint's. */
  fail(call: ApiCalling, error: unknown): void;
  /** A new call of the same owner with this payload. */
  renew(call: ApiCalling, payload: Fields, transport: Fields, metadata: Record<string, unknown>): ApiCalling;
  /** What a call would be sent with for this request. @throws IModelError `invalid_request` */
  prepare(request: Fields): PreparedRequest;
  /** What the usage of an attempt cost, in US dollars; null when that is not known. */
  costOf(call: ApiCalling, usage: Usage | null): number | null;
}
