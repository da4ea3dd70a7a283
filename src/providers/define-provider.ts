import type { Endpoint } from '../endpoints/endpoint.ts';
import type { HttpEndpointKind } from '../endpoints/protocol.ts';
import type { EndpointOptions } from './endpoint-options.ts';

/** An endpoint that is no HTTP service: a command-line agent, a script. */
export interface CustomEndpointKind {
  readonly path: string;
  readonly aliases: readonly string[];
  /** True for command-line agents, which keep sessions and run tools. */
  readonly isCli: boolean;
  /** Makes the endpoint. `options.kwargs` holds the payload defaults. */
  readonly create: (options: EndpointOptions) => Endpoint;
}

/** One endpoint of a provider, as its list holds it. */
export type EndpointKind = HttpEndpointKind | CustomEndpointKind;

/**
 * When a key is needed: `required` for every call; `remote` only for hosts other than this machine, and then only if there is one;
 * `unless-loopback` for every host but this machine; `none` never.
 */
type KeyPolicy = 'required' | 'remote' | 'unless-loopback' | 'none';

/** A vendor's settings. */
export interface Provider<Name extends string = string> {
  /** Canonical name, in lower case. */
  readonly name: Name;
  /** Other names it is known by. */
  readonly aliases: readonly string[];
  /** Where its endpoints live; null where there is no such place or the caller must name it. */
  readonly baseUrl: string | null;
  /** Environment variables a key is looked for in, the first one that is set wins. */
  readonly apiKeyEnv: readonly string[];
  readonly authType: 'bearer' | 'x-api-key' | 'none';
  readonly keyPolicy: KeyPolicy;
  readonly defaultHeaders: Readonly<Record<string, string>>;
  /** Header that tells the vendor which requests are attempts of one call; null where it takes none. */
  readonly idempotencyHeader: string | null;
  /** Whether a 409 means that another request was in the way and that the same one can succeed later; its own clients then try again. */
  readonly conflictsPass: boolean;
  /** In order of preference: the first one answers when nothing particular is asked for. Never empty. */
  readonly endpoints: readonly EndpointKind[];
}

/** A provider and one of its endpoints. */
export interface EndpointMatch {
  readonly provider: Provider;
  readonly kind: EndpointKind;
}

/** What {@link defineProvider} takes; everything but name and endpoints has a default. */
export interface ProviderDefinition<Name extends string> {
  readonly name: Name;
  readonly aliases?: readonly string[];
  readonly baseUrl?: string;
  /** One variable or several in order. @defaultValue none, and then no key is needed */
  readonly apiKeyEnv?: string | readonly string[];
  /** @defaultValue `bearer` where there is a key variable, else `none` */
  readonly authType?: Provider['authType'];
  /** @defaultValue `required` where there is a key variable, else `none` */
  readonly keyPolicy?: KeyPolicy;
  readonly defaultHeaders?: Readonly<Record<string, string>>;
  /** @defaultValue none is sent */
  readonly idempotencyHeader?: string;
  /** @defaultValue false: a 409 is final */
  readonly conflictsPass?: boolean;
  readonly endpoints: readonly EndpointKind[];
}

/**
 * Fills in and checks a vendor's settings. Runs when the module is loaded, so a mistake shows at once.
 *
 * @throws TypeError for a name that is not lower-case letters, digits and underscores, or an empty list of endpoints.
 */
export function defineProvider<const Name extends string>(definition: ProviderDefinition<Name>): Provider<Name> {
  const { name, apiKeyEnv = [], endpoints } = definition;
  if (!/^[a-z][a-z0-9_]*$/.test(name)) {
    throw new TypeError(`Expected a provider's \`name\` to be lower case with underscores, got \`${name}\``);
  }
  if (endpoints.length === 0) throw new TypeError(`Expected provider ${name} to have at least one endpoint`);
  const variables = typeof apiKeyEnv === 'string' ? [apiKeyEnv] : apiKeyEnv;
  const keyed = variables.length > 0;
  return {
    name,
    aliases: definition.aliases ?? [],
    baseUrl: definition.baseUrl ?? null,
    apiKeyEnv: variables,
    authType: definition.authType ?? (keyed ? 'bearer' : 'none'),
    keyPolicy: definition.keyPolicy ?? (keyed ? 'required' : 'none'),
    defaultHeaders: definition.defaultHeaders ?? {},
    idempotencyHeader: definition.idempotencyHeader ?? null,
    conflictsPass: definition.conflictsPass ?? false,
    endpoints,
  };
}

/** True for endpoints that are HTTP services. */
export function isHttpKind(kind: EndpointKind): kind is HttpEndpointKind {
  return 'protocol' in kind;
}
