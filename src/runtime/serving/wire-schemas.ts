import { z } from 'zod';
import { wireCall } from '../../../schemas/call.ts';
import {
  endpointAccepted,
  endpointCancel,
  endpointControl,
  endpointMessage,
  endpointReplay,
  endpointRequest,
} from '../../../schemas/endpoint.ts';
import { modelEvent } from '../../../schemas/event.ts';
import { explainRequest, nodeExplanation } from '../../../schemas/explanation.ts';
import { failure } from '../../../schemas/failure.ts';
import { hookAnswer, hookAsk } from '../../../schemas/hook.ts';
import { modelDict } from '../../../schemas/snapshot.ts';
import { modelState, nodeState, stateRequest } from '../../../schemas/state.ts';
import {
  aliveMessage,
  callRequest,
  cancelReply,
  cancelRequest,
  controlRequest,
  ctlRequest,
  failureReply,
  resumeReply,
  resumeRequest,
  streamMessage,
  streamReply,
} from '../../../schemas/wire.ts';
import { schemaId } from './schema-id.ts';

/** Headers of `invoke` and `stream`; on the wire every value is text. */
const requestHeaders = z.object({
  'Imodel-Call': z
    .string()
    .describe('The id of the call, chosen by its caller: the same request sent twice is one call.')
    .optional(),
  'Imodel-Deadline-Ms': z
    .string()
    .describe('Milliseconds from now to the end of the call, waiting included.')
    .optional(),
  'Imodel-Queue-Ms': z.string().describe('Milliseconds it may wait before it is dispatched.').optional(),
  'Imodel-Priority': z.string().describe('-10 to 10; higher is served first.').optional(),
  'Imodel-Caller': z.string().describe('Who calls; callers within one priority get shares by their weight.').optional(),
  'Imodel-Weight': z.string().describe('1 to 100: how many shares its caller has; 1 without it.').optional(),
  'Imodel-Credit': z.string().describe('On `stream`: chunks that may be sent ahead of the reader.').optional(),
  traceparent: z.string().describe('A W3C trace context; comes back with reply, end and events.').optional(),
  tracestate: z.string().optional(),
});

/** Headers of replies and ends. */
const outcomeHeaders = z.object({
  'Nats-Service-Error-Code': z.string().describe('Only on failures: the number of the code.').optional(),
  'Nats-Service-Error': z.string().describe('Only on failures: what happened.').optional(),
  traceparent: z.string().optional(),
  tracestate: z.string().optional(),
});

/** Every schema that has a name in the contract. */
export const wireSchemas = {
  callRequest,
  requestHeaders,
  outcomeHeaders,
  wireCall,
  failure,
  failureReply,
  streamReply,
  streamMessage,
  aliveMessage,
  cancelRequest,
  cancelReply,
  ctlRequest,
  resumeRequest,
  resumeReply,
  controlRequest,
  /** Reply to `control`. */
  modelState: modelState.extend({ node: z.string() }),
  stateRequest,
  explainRequest,
  nodeExplanation,
  nodeState,
  modelDict,
  modelEvent,
  hookAsk,
  hookAnswer,
  endpointRequest,
  endpointAccepted,
  endpointMessage,
  endpointControl,
  endpointReplay,
  endpointCancel,
} as const;

/** The name of a schema in the contract. */
export type WireSchemaName = keyof typeof wireSchemas;

type JsonSchema = Record<string, unknown>;

/** The schemas as JSON Schema of draft 7, each below its name, referring to each other below `root`. */
export function wireJsonSchemas(root: string): Record<string, JsonSchema> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(wireSchemas)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    target: 'draft-7',
    io: 'input',
    unrepresentable: 'any',
    uri: (id) => `${root}${id}`,
  });
  const written: Record<string, JsonSchema> = {};
  for (const [name, schema] of Object.entries(schemas)) {
    const { $schema: _draft, definitions = {}, ...body } = schema as JsonSchema & { definitions?: JsonSchema };
    // A schema without a name of its own is one of the document's all the same: its place in one of them means nothing there.
    const place = (reference: string): string =>
      reference.replace(/^(.*)#\/definitions\//, (_all, owner: string) => `${owner || `${root}${name}`}.`);
    if (Object.hasOwn(wireSchemas, name))
      written[name] = { ...(rewrite(body, place) as JsonSchema), $id: schemaId(name) };
    for (const [part, definition] of Object.entries(definitions)) {
      written[`${name}.${part}`] = rewrite(definition, place) as JsonSchema;
    }
  }
  return written;
}

/** A copy in which every reference has been changed. */
function rewrite(value: unknown, place: (reference: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => rewrite(item, place));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      key === '$ref' && typeof item === 'string' ? place(item) : rewrite(item, place),
    ]),
  );
}
