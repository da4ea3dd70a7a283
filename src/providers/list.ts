import { refuseNoObject, refuseStranger } from '../arguments.ts';
import { isHttpKind, type Provider } from './define-provider.ts';
import type { Environment } from './endpoint-options.ts';
import { providers } from './index.ts';
import { knownProvider } from './match.ts';

/** One row of the table of everything that can be called. Holds no key. */
export interface EndpointListing {
  /** Canonical name. */
  readonly provider: string;
  /** Other names it is known by. */
  readonly providerAliases: readonly string[];
  /** Path below the base URL, or the protocol's name. */
  readonly endpoint: string;
  /** Other names it is asked for by. */
  readonly aliases: readonly string[];
  /** Null for endpoints that are no HTTP service. */
  readonly baseUrl: string | null;
  /** Variables a key is looked for in, in order. */
  readonly keyVariables: readonly string[];
  /** The one that a key is taken from; null while none is set. */
  readonly keyFrom: string | null;
  /** Whether one of them is set; `not needed` where calls go without. */
  readonly key: 'set' | 'missing' | 'not needed';
  /** Model that is used when none is given; null where one must be, or there is no such thing. */
  readonly model: string | null;
  /** Whether it can answer piece by piece. */
  readonly streams: boolean;
  /** True for command-line agents. */
  readonly isCli: boolean;
}

/** Of what {@link listEndpoints} tells. */
export interface ListEndpointsOptions {
  /** Only this provider's, by its name or an alias. @defaultValue all */
  readonly provider?: string;
  /** Where key variables are looked for. @defaultValue `process.env` */
  readonly env?: Environment;
}

/**
 * Everything that can be called by name, in the order in which names are matched. No key is in it.
 *
 * @throws IModelError `config`, naming those that there are, for a provider that there is not.
 */
export function listEndpoints(options: ListEndpointsOptions = {}): EndpointListing[] {
  refuseNoObject('options', options);
  const { provider: name, env = process.env } = options;
  refuseStranger('env', env);
  const list: readonly Provider[] = name === undefined ? providers : [knownProvider(name)];
  return list.flatMap((provider) =>
    provider.endpoints.map((kind) => {
      const http = isHttpKind(kind) ? kind : null;
      return {
        provider: provider.name,
        providerAliases: provider.aliases,
        endpoint: kind.path,
        aliases: kind.aliases,
        baseUrl: http === null ? null : (http.baseUrl ?? provider.baseUrl),
        keyVariables: provider.apiKeyEnv,
        ...keyOf(provider, env),
        model: http?.model ?? null,
        streams: http === null || http.protocol.framing !== null,
        isCli: 'isCli' in kind && kind.isCli,
      };
    }),
  );
}

function keyOf({ apiKeyEnv, keyPolicy }: Provider, env: Environment): Pick<EndpointListing, 'key' | 'keyFrom'> {
  const keyFrom = apiKeyEnv.find((variable) => (env[variable] ?? '') !== '') ?? null;
  if (keyFrom !== null) return { key: 'set', keyFrom };
  return { key: keyPolicy === 'required' ? 'missing' : 'not needed', keyFrom };
}
