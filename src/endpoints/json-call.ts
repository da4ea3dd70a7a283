import type { z } from 'zod';
import type { AnswerView } from '../../schemas/chunk.ts';
import { record } from '../http/vendor-error.ts';
import { emptyView } from './answer.ts';
import type { Fields } from './endpoint.ts';
import { readUsage } from './openai-usage.ts';
import type { HttpEndpointKind, Protocol } from './protocol.ts';

/** A call that posts JSON and gets one JSON answer, without messages and without a stream. */
export interface JsonCallOptions {
  /** Path below the base URL. */
  readonly path: string;
  readonly aliases?: readonly string[];
  readonly schema: z.ZodObject;
  /** Base URL, where it differs from the provider's. */
  readonly baseUrl?: string;
  readonly defaultBasePath?: string;
  /** Model to use when none is given. */
  readonly model?: string;
  /** Seconds. @defaultValue 120 */
  readonly timeout?: number;
  /** @defaultValue false */
  readonly requiresTokens?: boolean;
  readonly idempotencyHeader?: string;
  readonly transportFields?: readonly string[];
  readonly accept?: (request: Fields) => Fields;
  readonly toWire?: Protocol['toWire'];
  readonly finishWire?: Protocol['finishWire'];
  readonly faultIn?: Protocol['faultIn'];
  readonly around?: Protocol['around'];
  /** What the answer says in the shared view. @defaultValue its usage, if it reports tokens */
  readonly view?: (body: unknown) => AnswerView;
}

/** Makes an endpoint of {@link JsonCallOptions}. */
export function jsonCall(options: JsonCallOptions): HttpEndpointKind {
  const { path, aliases = [], schema, timeout = 120, requiresTokens = false, view = usageView } = options;
  const { model, baseUrl, defaultBasePath, idempotencyHeader } = options;
  const { transportFields, accept, finishWire, faultIn, around } = options;
  return {
    path,
    aliases,
    timeout,
    requiresTokens,
    ...(model === undefined ? {} : { model }),
    ...(baseUrl === undefined ? {} : { baseUrl }),
    ...(defaultBasePath === undefined ? {} : { defaultBasePath }),
    ...(idempotencyHeader === undefined ? {} : { idempotencyHeader }),
    protocol: {
      schema,
      framing: null,
      toWire: options.toWire ?? ((request) => request),
      fromWire: view,
      ...(transportFields === undefined ? {} : { transportFields }),
      ...(accept === undefined ? {} : { accept }),
      ...(finishWire === undefined ? {} : { finishWire }),
      ...(faultIn === undefined ? {} : { faultIn }),
      ...(around === undefined ? {} : { around }),
    },
  };
}

/** A view that holds nothing but the usage. */
export function usageView(body: unknown): AnswerView {
  const usage = readUsage(record(body)?.usage);
  return usage === null ? emptyView : { ...emptyView, usage };
}

/**
 * A copy of a request with its names in camelCase, also inside the named objects; other objects hold names of their own and stay.
 *
 * @param nested - Names, in camelCase, of the fields to go into.
 */
export function camelCaseFields(request: Fields, nested: ReadonlySet<string>): Fields {
  const written = Object.entries(request).map(([name, value]) => {
    const camel = name.replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
    const inner = nested.has(camel) ? record(value) : undefined;
    return [camel, inner === undefined ? value : camelCaseFields(inner, nested)] as const;
  });
  return Object.fromEntries(written);
}
