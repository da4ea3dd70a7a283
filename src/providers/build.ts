import { endpointOptions } from '../../schemas/imodel.ts';
import type { Endpoint, EndpointConfig, Fields } from '../endpoints/endpoint.ts';
import { takeExtraBody } from '../endpoints/extra-body.ts';
import { HttpEndpoint, joinUrl } from '../endpoints/http-endpoint.ts';
import type { HttpEndpointKind } from '../endpoints/protocol.ts';
import { checkRequest } from '../endpoints/request-check.ts';
import { IModelError, printValue } from '../errors.ts';
import { type AddressPolicy, checkLiteralHost, isLoopbackHost } from '../http/address-guard.ts';
import { resolveApiKey } from './api-key.ts';
import { type EndpointMatch, isHttpKind, type Provider } from './define-provider.ts';
import type { EndpointOptions } from './endpoint-options.ts';

/** Names of this program that must never reach a host that takes any field. */
const reservedFields: ReadonlySet<string> = new Set([
  'provider',
  'base_url',
  'endpoint',
  'endpoint_params',
  'api_key',
  'queue_capacity',
  'capacity_refresh_time',
  'invoke_with_endpoint',
  'extra_headers',
  'headers',
  'include_token_usage_to_model',
  'cache_control',
  'chat_model',
  'imodel',
  'branch',
  'aggregation_sources',
  'aggregation_count',
  'action_strategy',
  'parse_model',
  'actions',
  'return_operative',
  'request_model',
  'operative_model',
  'passthrough',
]);

/**
 * Makes the endpoint that was matched.
 *
 * @throws IModelError `config`, naming the option, for one that is not valid: an unknown payload field, a base URL that is missing, no URL
 * or not allowed, a time that is not positive.
 */
export function buildEndpoint({ provider, kind }: EndpointMatch, options: EndpointOptions): Endpoint {
  refuseWrongOptions(options);
  if (!isHttpKind(kind)) return asConfigError(() => kind.create(options));
  const { env = process.env, passthrough = false } = options;
  const baseUrl = baseUrlOf(provider, kind, options);
  const policy = policyOf(baseUrl, options);
  const { hostname } = new URL(baseUrl);
  checkLiteralHost(hostname, policy);
  const loopback = isLoopbackHost(hostname);
  const authType = options.authType ?? provider.authType;
  const config: EndpointConfig & { readonly baseUrl: string } = {
    name: `${provider.name}_${kind.path}`,
    provider: provider.name,
    baseUrl,
    endpoint: kind.path,
    method: 'POST',
    authType: provider.keyPolicy === 'remote' && loopback ? 'none' : authType,
    contentType: kind.contentType === undefined ? 'application/json' : kind.contentType,
    defaultHeaders: { ...provider.defaultHeaders, ...options.headers },
    timeout: positive('timeout', options.timeout) ?? kind.timeout,
    requiresTokens: kind.requiresTokens,
    contextWindow: positive('contextWindow', options.contextWindow) ?? null,
    kwargs: kwargsOf(kind, options),
  };
  const idleTimeout = positive('idleTimeout', options.idleTimeout);
  const idempotencyHeader = kind.idempotencyHeader ?? provider.idempotencyHeader;
  return new HttpEndpoint({
    config,
    protocol: kind.protocol,
    resolveKey: () => resolveApiKey({ provider, authType, loopback, apiKey: options.apiKey, env }),
    client: { ...policy, ...(options.dispatcher === undefined ? {} : { dispatcher: options.dispatcher }) },
    passthrough,
    traceVendor: options.traceVendor === true,
    reservedFields,
    conflictsPass: provider.conflictsPass,
    ...(idempotencyHeader === null ? {} : { idempotencyHeader }),
    ...(idleTimeout === undefined ? {} : { idleTimeoutMs: idleTimeout * 1_000 }),
    ...(options.fitToModel === undefined ? {} : { fitToModel: options.fitToModel }),
    ...(options.onWarning === undefined ? {} : { onWarning: options.onWarning }),
  });
}

/** The types say so already, but not to whoever writes JavaScript or reads options from somewhere. */
function refuseWrongOptions(options: EndpointOptions): void {
  const data = Object.entries(options).filter(([name]) => name in endpointOptions.shape);
  asConfigError(() => checkRequest(endpointOptions, Object.fromEntries(data)));
}

function baseUrlOf(provider: Provider, kind: HttpEndpointKind, options: EndpointOptions): string {
  const given = options.baseUrl;
  const baseUrl = given ?? kind.baseUrl ?? provider.baseUrl;
  if (baseUrl === null) {
    throw IModelError.of('config', `Provider ${provider.name} needs a \`baseUrl\``, { field: 'baseUrl' });
  }
  const { pathname } = joinUrl(baseUrl, '');
  const bare = pathname === '' || pathname === '/';
  const joined = joinUrl(baseUrl, given !== undefined && bare ? (kind.defaultBasePath ?? '') : '').href;
  return joined.replace(/\/+$/, '');
}

function policyOf(baseUrl: string, options: EndpointOptions): AddressPolicy {
  const { allowLocalNetwork, allowPrivateNetwork } = options;
  // Whoever spells out this machine's address means it.
  const loopback = isLoopbackHost(new URL(baseUrl).hostname);
  return { allowLoopback: loopback || allowLocalNetwork === true, allowPrivateNetwork: allowPrivateNetwork === true };
}

function kwargsOf(kind: HttpEndpointKind, options: EndpointOptions): Fields {
  const { env = process.env, kwargs = {}, passthrough = false } = options;
  const named = kind.modelEnv === undefined ? undefined : env[kind.modelEnv];
  const model = kwargs.model ?? (named === '' ? undefined : named) ?? kind.model;
  const given = model === undefined ? kwargs : { ...kwargs, model };
  const { schema, accept } = kind.protocol;
  const { fields, extra } = takeExtraBody(schema, given);
  const defaults = accept?.(fields) ?? fields;
  const kept = extra === null ? {} : { extra_body: extra };
  if (schema === null) return { ...defaults, ...kept };
  const checked = asConfigError(() => checkRequest(schema.partial(), defaults, { passthrough, reservedFields }));
  // A schema's own defaults are for the request; here they would look as if the caller had chosen them.
  return { ...Object.fromEntries(Object.entries(checked).filter(([name]) => name in defaults)), ...kept };
}

/** A payload default that is not valid is a mistake of the construction, not of a request. */
function asConfigError<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!IModelError.is(error) || error.failure.code !== 'invalid_request') throw error;
    const { message, path, value } = error.failure;
    const details = { ...(path === undefined ? {} : { field: path }), ...(value === undefined ? {} : { value }) };
    throw IModelError.of('config', message, details, { cause: error });
  }
}

function positive(name: string, value: number | undefined): number | undefined {
  if (value === undefined || (Number.isFinite(value) && value > 0)) return value;
  const message = `Expected \`${name}\` to be a number above 0, got ${printValue(value)}`;
  throw IModelError.of('config', message, { field: name, value: printValue(value) });
}
