import { z } from 'zod';
import { wireView } from './call.ts';
import { wireChunk } from './chunk.ts';
import { failure } from './failure.ts';
import { modelId } from './imodel.ts';

const fields = z.record(z.string(), z.unknown());

/** Body of `endpoint.<name>.call`: one run of one call. */
export const endpointRequest = z.object({
  call_id: modelId,
  /** The request as its caller wrote it; the endpoint's host checks and translates it. */
  payload: fields,
  /** Values that do not go into the vendor's body, such as a file. */
  transport: fields.optional(),
  streaming: z.boolean(),
  /** Messages the iModel can take before it gives more credit. */
  credit: z.number().int().min(1).max(65_536),
});

/** Reply to it: the run was taken on, by this node. What becomes of it comes on `subject`. */
export const endpointAccepted = z.object({ call_id: modelId, subject: z.string(), node: modelId });

const numbered = { seq: z.number().int().positive() };

/** One message on `endpoint.<name>.out.<call>`; numbered from 1 without gaps, `end` exactly once and last. */
export const endpointMessage = z.discriminatedUnion('kind', [
  /** The request was written to an open connection. */
  z.object({ kind: z.literal('sent'), ...numbered }),
  /** The upstream began to answer. */
  z.object({ kind: z.literal('answered'), ...numbered }),
  wireChunk.extend({ kind: z.literal('chunk'), ...numbered }),
  /** The upstream said what no chunk carries: for the journal of the iModel. */
  z.object({
    kind: z.literal('note'),
    ...numbered,
    note: z.object({ kind: z.enum(['unknown_event', 'noise']), type: z.string(), raw: z.unknown() }),
  }),
  z.object({
    kind: z.literal('end'),
    ...numbered,
    /** Null after success. */
    failure: failure.nullable(),
    /** The vendor's body; what there was of it after a failure. */
    response: z.unknown(),
    view: wireView.nullable(),
    session_id: z.string().optional(),
  }),
]);

/** Body of `endpoint.<name>.ctl.<node>`. */
export const endpointControl = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('credit'), call_id: modelId, chunks: z.number().int().min(1).max(65_536) }),
  /** The iModel is still there. */
  z.strictObject({ type: z.literal('extend'), call_id: modelId }),
  /** Asks for the messages after a number; the reply is {@link endpointReplay}. */
  z.strictObject({ type: z.literal('resume'), call_id: modelId, after_seq: z.number().int().nonnegative() }),
]);

/** See {@link endpointControl}. */
export type EndpointControl = z.infer<typeof endpointControl>;

/** Reply to a `resume`. */
export const endpointReplay = z.object({ messages: z.array(endpointMessage) });

/** Body of `endpoint.<name>.cancel`; every host of the name hears it. */
export const endpointCancel = z.object({ call_id: modelId, reason: z.string().max(1_000).optional() });
