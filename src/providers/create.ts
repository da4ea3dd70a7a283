import type { Endpoint } from '../endpoints/endpoint.ts';
import { IModelError } from '../errors.ts';
import { buildEndpoint } from './build.ts';
import { type EndpointMatch, isHttpKind } from './define-provider.ts';
import type { EndpointOptions } from './endpoint-options.ts';
import { inferProvider } from './infer.ts';
import { findEndpoint } from './match.ts';

/**
 * Which endpoint to make, and how: the options of {@link EndpointOptions}, and every further name a payload default (`temperature`,
 * `max_tokens`, …), all on one level, as users write them.
 */
export interface CreateEndpointOptions extends Omit<EndpointOptions, 'kwargs'> {
  /** @defaultValue told from `model` */
  readonly provider?: string | null;
  readonly model?: string | null;
  /** @defaultValue `chat` */
  readonly endpoint?: string | null;
  readonly [field: string]: unknown;
}

const ownNames = [
  'baseUrl',
  'apiKey',
  'authType',
  'timeout',
  'idleTimeout',
  'contextWindow',
  'headers',
  'passthrough',
  'traceVendor',
  'allowLocalNetwork',
  'allowPrivateNetwork',
  'fitToModel',
  'dispatcher',
  'env',
  'onWarning',
  'clock',
] as const satisfies readonly (keyof EndpointOptions)[];

/**
 * Makes an endpoint from flat options: tells the provider from the model's name if need be, finds the endpoint, and takes what is no
 * option of ours as payload defaults. A field that the endpoint's own schema declares is a payload default even if it has the name of
 * an option of ours (Firecrawl's `timeout`).
 *
 * @throws IModelError `config`, as {@link inferProvider}, {@link findEndpoint} and {@link buildEndpoint}.
 *
 * @example
 * ```ts
 * const endpoint = createEndpoint({ model: 'anthropic/claude-opus-4-7', temperature: 1 });
 * ```
 */
export function createEndpoint(options: CreateEndpointOptions): Endpoint {
  const { provider: givenProvider, model: givenModel, endpoint, ...rest } = options;
  const { provider, model } = inferProvider({ provider: givenProvider, model: givenModel }, options.env);
  const fields = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined && value !== null));
  const match = findEndpoint(provider, endpoint ?? 'chat', fields.baseUrl !== undefined);
  const own: Record<string, unknown> = {};
  for (const name of ownNames) {
    if (!(name in fields) || declares(match, name)) continue;
    own[name] = fields[name];
    delete fields[name];
  }
  const kwargs = model === undefined ? fields : { model, ...fields };
  if (typeof (own.baseUrl ?? '') !== 'string') {
    throw IModelError.of('config', 'Expected `baseUrl` to be a string', { field: 'baseUrl' });
  }
  // The names are those of EndpointOptions, and the caller's types were checked against it.
  return buildEndpoint(match, { ...(own as EndpointOptions), kwargs });
}

function declares({ kind }: EndpointMatch, name: string): boolean {
  return isHttpKind(kind) && kind.protocol.schema !== null && name in kind.protocol.schema.shape;
}
