import type { Endpoint } from '../endpoints/endpoint.ts';
import { nearest } from '../endpoints/nearest.ts';
import { IModelError, printValue } from '../errors.ts';
import { buildEndpoint } from './build.ts';
import type { EndpointKind, EndpointMatch, Provider } from './define-provider.ts';
import type { EndpointOptions } from './endpoint-options.ts';
import { genericProvider } from './generic.ts';
import { providers } from './index.ts';

/**
 * Finds a provider's endpoint by name and makes it.
 *
 * Names are trimmed and compared without case; aliases work. An endpoint is found by its path, then by an alias, then by containment (three
 * letters at least), in the provider's own order. A provider with one endpoint always gives that one; `chat` at a provider without
 * chat gives its first. A provider that is not in the list is taken for a host that speaks OpenAI's protocol, and needs `baseUrl`.
 *
 * No key is read and nothing is sent here.
 *
 * @param provider - A provider's name or alias.
 * @param endpoint - A path or alias such as `chat`, `embed`, `responses`. @defaultValue `chat`
 * @throws IModelError `config`, naming what exists, when nothing matches or an option is not valid.
 *
 * @example
 * ```ts
 * const endpoint = matchEndpoint('openai', 'chat', { kwargs: { model: 'gpt-4o-mini' } });
 * ```
 */
export function matchEndpoint(provider: string, endpoint = 'chat', options: EndpointOptions = {}): Endpoint {
  for (const [field, value] of Object.entries({ provider, endpoint })) {
    if (typeof value !== 'string')
      throw config(field, value, `Expected \`${field}\` to be a name, got ${printValue(value)}`);
  }
  if (typeof options !== 'object' || options === null) {
    throw config('options', options, `Expected \`options\` to be an object, got ${printValue(options)}`);
  }
  const match = findEndpoint(provider, endpoint, options.baseUrl !== undefined);
  return buildEndpoint(match, options);
}

/**
 * The part of {@link matchEndpoint} that only looks things up.
 *
 * @param hasBaseUrl - Whether the caller named a host, so that an unknown provider or path can be tried there.
 */
export function findEndpoint(provider: string, endpoint: string, hasBaseUrl: boolean): EndpointMatch {
  const wanted = provider.trim().toLowerCase();
  const path = endpoint.trim().replace(/^\/+|\/+$/g, '');
  if (wanted === '') throw config('provider', provider, `Expected \`provider\` to name one of ${providerNames()}`);
  const known = findProvider(wanted);
  if (known === undefined) return genericMatch(wanted, path, hasBaseUrl);
  const kind = findKind(known, path.toLowerCase());
  if (kind !== undefined) return { provider: known, kind };
  if (hasBaseUrl) return genericMatch(known.name, path, true);
  const names = known.endpoints.map(describe).join(', ');
  throw config('endpoint', endpoint, `Provider ${known.name} has no endpoint ${printValue(endpoint)}; it has ${names}`);
}

/** The provider of this name or alias, in any case; undefined when there is none. */
export function findProvider(name: string): Provider | undefined {
  const wanted = name.trim().toLowerCase();
  const list: readonly Provider[] = providers;
  return list.find((provider) => provider.name === wanted || provider.aliases.includes(wanted));
}

function findKind(provider: Provider, path: string): EndpointKind | undefined {
  const { endpoints } = provider;
  const names = (kind: EndpointKind): string[] => [kind.path, ...kind.aliases].map((name) => name.toLowerCase());
  const [first] = endpoints;
  if (path === '' || endpoints.length === 1) return first;
  return (
    endpoints.find((kind) => kind.path.toLowerCase() === path) ??
    endpoints.find((kind) => names(kind).includes(path)) ??
    (path.length < 3
      ? undefined
      : endpoints.find((kind) => names(kind).some((name) => name.includes(path) || path.includes(name)))) ??
    (path === 'chat' ? first : undefined)
  );
}

/** As {@link findProvider}. @throws IModelError `config`, naming those that there are, when there is none of this name */
export function knownProvider(name: string): Provider {
  const found = findProvider(name);
  if (found === undefined) throw unknownProvider(name, '');
  return found;
}

function genericMatch(name: string, path: string, hasBaseUrl: boolean): EndpointMatch {
  if (!hasBaseUrl) throw unknownProvider(name, '; any other name needs a `baseUrl`');
  const provider = genericProvider(name, path);
  const [kind] = provider.endpoints;
  if (kind === undefined) throw IModelError.of('internal', 'The generic provider has no endpoint', {});
  return { provider, kind };
}

function unknownProvider(name: string, advice: string): IModelError {
  const list: readonly Provider[] = providers;
  const like = nearest(
    name,
    list.flatMap((provider) => [provider.name, ...provider.aliases]),
  );
  const hint = like === null ? '.' : `; did you mean ${like}?`;
  const message = `There is no provider ${printValue(name)}${hint} Known are ${providerNames()}${advice}`;
  return config('provider', name, message);
}

function describe(kind: EndpointKind): string {
  return kind.aliases.length === 0 ? kind.path : `${kind.path} (${kind.aliases.join(', ')})`;
}

function providerNames(): string {
  return providers.map(({ name }) => name).join(', ');
}

function config(field: string, value: unknown, message: string): IModelError {
  return IModelError.of('config', message, { field, value: printValue(value) });
}
