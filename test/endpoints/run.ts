import type { Chunk } from '../../schemas/chunk.ts';
import type { Endpoint, EndpointJob, EndpointReply, Fields } from '../../src/endpoints/endpoint.ts';
import { IModelError } from '../../src/errors.ts';
import type { RateLimitInfo } from '../../src/http/rate-limit-headers.ts';

/** What one run of an endpoint did. */
export interface Outcome {
  readonly chunks: readonly Chunk[];
  readonly reply: EndpointReply | null;
  readonly error: IModelError | null;
  readonly events: readonly string[];
  readonly limits: readonly RateLimitInfo[];
}

/** Prepares and runs a request, one-shot or streamed, and notes everything that happens. */
export async function run(
  endpoint: Endpoint,
  request: Fields,
  options: { readonly stream?: boolean; readonly signal?: AbortSignal; readonly onChunk?: (chunk: Chunk) => void } = {},
): Promise<Outcome> {
  const chunks: Chunk[] = [];
  const events: string[] = [];
  const limits: RateLimitInfo[] = [];
  const payload = endpoint.prepare(request);
  const transport = Object.fromEntries(
    endpoint.transportFields.filter((name) => name in request).map((name) => [name, request[name]]),
  );
  const job: EndpointJob = {
    callId: 'call-1',
    payload,
    transport,
    signal: options.signal ?? new AbortController().signal,
    sink:
      options.stream === true
        ? {
            write(chunk) {
              chunks.push(chunk);
              options.onChunk?.(chunk);
              return true;
            },
            onDrain() {},
          }
        : null,
    sent: () => events.push('sent'),
    answered: () => events.push('answered'),
    onRateLimit: (info) => limits.push(info),
  };
  try {
    return { chunks, reply: await endpoint.run(job), error: null, events, limits };
  } catch (error) {
    if (!IModelError.is(error)) throw error;
    return { chunks, reply: null, error, events, limits };
  }
}

/** A chunk without what every chunk of its kind has. */
export function brief(chunk: Chunk): unknown[] {
  switch (chunk.type) {
    case 'text':
    case 'thinking':
      return chunk.metadata === undefined ? [chunk.type, chunk.content] : [chunk.type, chunk.content, chunk.metadata];
    case 'media': {
      const { partialImageIndex } = chunk.metadata ?? {};
      const kind = chunk.isDelta ? ['delta'] : partialImageIndex === undefined ? [] : [partialImageIndex];
      return ['media', chunk.mediaType, Buffer.from(chunk.data ?? []).toString('base64'), ...kind];
    }
    case 'tool_use':
      return chunk.isDelta
        ? ['tool delta', chunk.toolId, chunk.metadata?.argumentsDelta]
        : ['tool', chunk.toolId, chunk.toolName, chunk.toolInput];
    case 'result':
      return ['result', chunk.metadata?.finishReason];
    case 'error':
      return ['error', chunk.content];
    default:
      return [chunk.type];
  }
}
