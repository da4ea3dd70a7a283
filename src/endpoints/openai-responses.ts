import { openaiResponsesRequest } from '../../schemas/requests/openai-responses.ts';
import type { HttpEndpointKind, Protocol } from './protocol.ts';
import { responseView } from './responses-reply.ts';
import { toResponsesWire } from './responses-request.ts';
import { ResponsesReading } from './responses-stream.ts';

/** What {@link openaiResponses} may be told. */
export interface OpenaiResponsesOptions {
  readonly model?: string;
  readonly modelEnv?: string;
  /** The last word on the payload. Must not change its argument. */
  readonly adjust?: Protocol['toWire'];
}

/**
 * OpenAI's Responses protocol, `POST responses`. Callers chain turns themselves, with `previous_response_id` and the `id` of a response.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/responses} (read 2026-11)
 */
export function openaiResponses({ model, modelEnv, adjust }: OpenaiResponsesOptions = {}): HttpEndpointKind {
  return {
    path: 'responses',
    aliases: ['response'],
    timeout: 600,
    requiresTokens: true,
    ...(model === undefined ? {} : { model }),
    ...(modelEnv === undefined ? {} : { modelEnv }),
    protocol: {
      schema: openaiResponsesRequest,
      framing: 'sse',
      toWire(request, context) {
        const payload = toResponsesWire(request);
        return adjust === undefined ? payload : adjust(payload, context);
      },
      finishWire(payload, streaming) {
        const { stream: _stream, stream_options: options, ...rest } = payload;
        if (!streaming) return rest;
        return { ...rest, stream: true, ...(options === undefined ? {} : { stream_options: options }) };
      },
      fromWire: responseView,
      openStream: (answer) => new ResponsesReading(answer),
    },
  };
}
