import type { ModelDictOptions } from '../../../schemas/snapshot.ts';
import type { Endpoint } from '../../endpoints/endpoint.ts';
import { IModelError } from '../../errors.ts';
import { findProvider } from '../../providers/match.ts';
import { credentialsIn } from './credentials.ts';

/** How an endpoint was made here, as far as its configuration does not tell: enough to write it down and to make another. */
export interface EndpointRecipe {
  /** Makes another one of the same kind, its key included. */
  readonly make: () => Endpoint;
  /** Its part of `options` in a dict. */
  readonly options: ModelDictOptions;
  /** Whether it may connect to this machine. */
  readonly allowsLocalNetwork: boolean;
  /** Texts that must not be written down anywhere, as of now. */
  readonly secrets: () => readonly string[];
  /** Headers that were written down without their value when it was read from a dict, and so are not sent. */
  readonly withheldHeaders: readonly string[];
  /** Paths into the request defaults whose values were withheld likewise. */
  readonly withheldFields: readonly (readonly string[])[];
}

const recipes = new WeakMap<Endpoint, EndpointRecipe>();

/** Makes an endpoint by a recipe, and remembers by which. */
export function makeByRecipe(recipe: EndpointRecipe): Endpoint {
  const endpoint = recipe.make();
  recipes.set(endpoint, recipe);
  return endpoint;
}

/** How an endpoint was made; undefined for one that its owner made. */
export function recipeOf(endpoint: Endpoint): EndpointRecipe | undefined {
  return recipes.get(endpoint);
}

/** Makes another endpoint as this one was made, for a copy. @throws IModelError `config` for one that its owner made. */
export function makeAnother(endpoint: Endpoint): Endpoint {
  const recipe = recipeOf(endpoint);
  if (recipe !== undefined) return makeByRecipe(recipe);
  const message = 'Expected `endpoint` for the copy of an iModel on an endpoint of your own: two cannot share one';
  throw IModelError.of('config', message, { field: 'endpoint' });
}

/** By what a key is found. */
export interface KeySource {
  readonly provider: string;
  /** The key, or the name of the variable that holds it. */
  readonly apiKey: string | null | undefined;
  readonly env: Readonly<Record<string, string | undefined>> | undefined;
}

/** The key that was given, the one that it names, or those of the provider's variables: none may be written down. */
export function secretsOf({ provider, apiKey, env = process.env }: KeySource): string[] {
  // The name of a variable is no secret.
  const keys = apiKey ? [env[apiKey] ?? apiKey] : variablesOf(provider).map((variable) => env[variable] ?? '');
  return keys.filter(isLongEnough);
}

/** What of an endpoint must not be written down anywhere: its key, and the credentials among its request defaults. A longer one stands before those it may hold. */
export function secretsIn(endpoint: Endpoint): string[] {
  const given = credentialsIn(endpoint.config.kwargs).map(({ value }) => value);
  const secrets = [...(recipeOf(endpoint)?.secrets() ?? []), ...given.filter(isLongEnough)];
  return secrets.sort((one, other) => other.length - one.length);
}

/** Shorter texts are nobody's key, and would be found everywhere. */
function isLongEnough(secret: string): boolean {
  return secret.length >= 6;
}

function variablesOf(provider: string): readonly string[] {
  const known = findProvider(provider)?.apiKeyEnv ?? [];
  return known.length > 0 ? known : [`${provider.toUpperCase()}_API_KEY`];
}
