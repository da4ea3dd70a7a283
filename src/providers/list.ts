import { isHttpKind, type Provider } from './define-provider.ts';
import type { Environment } from './endpoint-options.ts';
import { providers } from './index.ts';

/** One row of the table of everything that can be called. Holds no key. */
export interface EndpointListing {
  readonly provider: string;
  readonly providerAliases: readonly string[];
  readonly endpoint: string;
  readonly aliases: readonly string[];
  /** Null for endpoints that are no HTTP service. */
  readonly baseUrl: string | null;
  /** Variables a key is looked for in, in order. */
  readonly keyVariables: readonly string[];
  /** Whether one of them is set; `not needed` where calls go without. */
  readonly key: 'set' | 'missing' | 'not needed';
  /** Model that is used when none is given; null where one must be, or there is no such thing. */
  readonly model: string | null;
  /** Whether it can answer piece by piece. */
  readonly streams: boolean;
  readonly isCli: boolean;
}

/**
 * Everything that can be called by name, in the order in which names are matched.
 *
 * @param env - Where key variables are looked for. @defaultValue `process.env`
 */
export function listEndpoints(env: Environment = process.env): EndpointListing[] {
  const list: readonly Provider[] = providers;
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
        key: keyStatus(provider, env),
        model: http?.model ?? null,
        streams: http === null || http.protocol.framing !== null,
        isCli: 'isCli' in kind && kind.isCli,
      };
    }),
  );
}

function keyStatus(provider: Provider, env: Environment): EndpointListing['key'] {
  const set = provider.apiKeyEnv.some((variable) => (env[variable] ?? '') !== '');
  if (set) return 'set';
  return provider.keyPolicy === 'required' ? 'missing' : 'not needed';
}
