import type { ModelDictOptions } from '../../../schemas/snapshot.ts';
import type { Endpoint } from '../../endpoints/endpoint.ts';

/** How an endpoint was made here, as far as its configuration does not tell: enough to write it down and to make another. */
export interface EndpointRecipe {
  /** Makes another one of the same kind, its key included. */
  readonly make: () => Endpoint;
  /** Its part of `options` in a dict. */
  readonly options: ModelDictOptions;
  /** Whether it may connect to this machine. */
  readonly allowsLocalNetwork: boolean;
  /** Texts that must not be written down anywhere. */
  readonly secrets: readonly string[];
  /** Headers that were written down without their value when it was read from a dict, and so are not sent. */
  readonly withheldHeaders: readonly string[];
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

/** The key that was given, and the one that it names: neither may be written down. Shorter texts are nobody's key. */
export function secretsOf(
  apiKey: string | null | undefined,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string[] {
  if (apiKey == null) return [];
  const named = env[apiKey];
  // The name of a variable is no secret.
  return [named ?? apiKey].filter((secret) => secret.length >= 6);
}
