import { z } from 'zod';
import { type OpenaiChatRequest, openaiChatRequest } from '../../schemas/requests/openai-chat.ts';
import { readVendorError, record } from '../http/vendor-error.ts';
import type { Fields } from './endpoint.ts';
import { chatFault, chatView, reworded } from './openai-chat-reply.ts';
import { type ChatReadingOptions, OpenaiChatReading } from './openai-chat-stream.ts';
import type { HttpEndpointKind, Protocol, WireContext } from './protocol.ts';

/** What a vendor does differently from OpenAI's own chat endpoint. */
export interface OpenaiChatOptions extends ChatReadingOptions {
  /** Path below the base URL. @defaultValue `chat/completions` */
  readonly path?: string;
  /** Model to use when none is given. */
  readonly model?: string;
  /** Environment variable whose value, when set, takes the place of `model`. */
  readonly modelEnv?: string;
  /** Request fields the vendor adds, or types differently. */
  readonly fields?: z.ZodRawShape;
  /** Fields of OpenAI's that the vendor does not take. */
  readonly omit?: readonly (keyof OpenaiChatRequest)[];
  /** Replaces the whole list of fields. */
  readonly schema?: z.ZodObject;
  /** Checks no fields at all, for hosts we know nothing about. @defaultValue false */
  readonly anyFields?: boolean;
  /** Fields that go by another name on the wire: ours to the vendor's. */
  readonly rename?: Readonly<Record<string, string>>;
  /** The last word on the payload, for oddities that need code. Must not change its argument. */
  readonly adjust?: (payload: Fields, context: WireContext) => Fields;
  /** Fields that go beside the body, and what happens around a call; see `Protocol`. */
  readonly transportFields?: readonly string[];
  readonly around?: Protocol['around'];
  /** Asks for usage in streams with `stream_options`. @defaultValue true */
  readonly streamUsage?: boolean;
  /** Whether prompts are counted against `limitTokens`. @defaultValue true */
  readonly requiresTokens?: boolean;
  /** Replaces the URL's empty path; see `HttpEndpointKind.defaultBasePath`. */
  readonly defaultBasePath?: string;
}

/**
 * OpenAI's chat protocol, `POST chat/completions`, as data for a provider's list of endpoints.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/chat} (read 2026-11)
 */
export function openaiChat(options: OpenaiChatOptions = {}): HttpEndpointKind {
  const { path = 'chat/completions', requiresTokens = true, model, modelEnv, defaultBasePath } = options;
  return {
    path,
    aliases: ['chat'],
    protocol: openaiChatProtocol(options),
    timeout: 600,
    requiresTokens,
    ...(model === undefined ? {} : { model }),
    ...(modelEnv === undefined ? {} : { modelEnv }),
    ...(defaultBasePath === undefined ? {} : { defaultBasePath }),
  };
}

function openaiChatProtocol(options: OpenaiChatOptions): Protocol {
  const { rename = {}, adjust, streamUsage = true, thinkTag, transportFields, around } = options;
  return {
    schema: schemaOf(options),
    framing: 'sse',
    toWire(request, context) {
      const payload = adjust === undefined ? request : adjust(request, context);
      const renamed = Object.entries(rename).filter(([ours]) => ours in payload);
      if (renamed.length === 0) return payload;
      return Object.fromEntries(Object.entries(payload).map(([name, value]) => [rename[name] ?? name, value]));
    },
    finishWire(payload, streaming) {
      if (!streaming) {
        if (!('stream' in payload) && !('stream_options' in payload)) return payload;
        const { stream: _stream, stream_options: _options, ...rest } = payload;
        return rest;
      }
      if (!streamUsage) return { ...payload, stream: true };
      return { ...payload, stream: true, stream_options: { include_usage: true, ...record(payload.stream_options) } };
    },
    fromWire: (body) => chatView(body, thinkTag),
    faultIn: (body) => chatFault(body, options),
    openStream: (answer) => new OpenaiChatReading(answer, options),
    readError: (body, text, { status, headers }) =>
      reworded(readVendorError(body, text, status, headers), body, options),
    ...(transportFields === undefined ? {} : { transportFields }),
    ...(around === undefined ? {} : { around }),
  };
}

function schemaOf({
  anyFields = false,
  schema = openaiChatRequest,
  fields = {},
  omit = [],
}: OpenaiChatOptions): z.ZodObject | null {
  if (anyFields) return null;
  const shape = { ...schema.shape, ...fields };
  return z.strictObject(
    Object.fromEntries(Object.entries(shape).filter(([name]) => !omit.some((left) => left === name))),
  );
}
