import { type ModelOptions, modelOptionNames, toSnakeCase } from '../../schemas/imodel.ts';
import type { ModelDictOptions } from '../../schemas/snapshot.ts';
import { refuseNoFunction, refuseStranger } from '../arguments.ts';
import type { Endpoint, Fields } from '../endpoints/endpoint.ts';
import { blamedOn } from '../endpoints/unwritable.ts';
import { IModelError, printValue } from '../errors.ts';
import type { IModelFunctions, IModelOptions } from '../imodel-options.ts';
import { type CreateEndpointOptions, createEndpoint } from '../providers/create.ts';
import { inferProvider } from '../providers/infer.ts';
import { findProvider } from '../providers/match.ts';
import { RemoteEndpoint } from './remote/remote-endpoint.ts';
import { makeByRecipe, secretsOf } from './state/endpoint-recipe.ts';

/** Options that hold code instead of data. */
const functionNames = [
  'streamingProcessFunc',
  'hookRegistry',
  'clock',
  'env',
  'fallbacks',
  'bus',
] as const satisfies readonly (keyof IModelFunctions)[];

/** The options of an iModel by whom they are for. */
export interface SplitOptions {
  /** Ours; still to be checked. */
  readonly own: Record<string, unknown>;
  readonly functions: IModelFunctions;
  /** Everything else: defaults of the provider's requests. */
  readonly provider: Record<string, unknown>;
}

/**
 * Sorts options into ours, code, and the provider's.
 *
 * @throws IModelError `config` for one of ours in the spelling of files, and for a function that is none.
 */
export function splitOptions(options: IModelOptions): SplitOptions {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw IModelError.of('config', `Expected the options of an iModel to be an object, got ${printValue(options)}`, {});
  }
  const own: Record<string, unknown> = {};
  const functions: Record<string, unknown> = {};
  const provider: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || (name === 'endpoint' && value === null)) continue;
    if ((functionNames as readonly string[]).includes(name) || (name === 'endpoint' && typeof value === 'object')) {
      // Null stands for nothing; a list of fallbacks says so itself.
      if (value !== null || name === 'fallbacks') functions[name] = value;
    } else if ((modelOptionNames as readonly string[]).includes(name)) {
      own[name] = value;
    } else {
      refuseWrittenSpelling(name);
      provider[name] = value;
    }
  }
  if (functions.streamingProcessFunc !== undefined)
    refuseNoFunction('streamingProcessFunc', functions.streamingProcessFunc);
  for (const [field, value] of Object.entries(functions)) refuseStranger(field, value);
  return { own, functions, provider };
}

/** The endpoint that options name, or the one that was handed over. */
export function resolveEndpoint(options: ModelOptions, functions: IModelFunctions, provider: Fields): Endpoint {
  const { endpoint } = functions;
  if (options.endpoint === 'remote') return remoteEndpoint(options, functions, provider);
  if (typeof endpoint !== 'object') {
    const flat: CreateEndpointOptions = {
      ...ownDefaults(provider),
      provider: options.provider ?? null,
      endpoint: options.endpoint ?? null,
      ...(options.baseUrl == null ? {} : { baseUrl: options.baseUrl }),
      ...(options.apiKey == null ? {} : { apiKey: options.apiKey }),
      ...(functions.env === undefined ? {} : { env: functions.env }),
      ...(functions.clock === undefined ? {} : { clock: functions.clock }),
    };
    const made = makeByRecipe({
      make: () => createEndpoint(flat),
      options: writtenOf(provider),
      allowsLocalNetwork: provider.allowLocalNetwork === true,
      secrets: () => secretsOf({ provider: made.config.provider, apiKey: options.apiKey, env: functions.env }),
      withheldHeaders: [],
      withheldFields: [],
    });
    return made;
  }
  const given = { ...provider, provider: options.provider, baseUrl: options.baseUrl, apiKey: options.apiKey };
  for (const [field, value] of Object.entries(given)) {
    if (value === undefined || value === null) continue;
    const message = `Expected \`${field}\` to be absent beside an endpoint instance, which brings its own`;
    throw IModelError.of('config', message, { field });
  }
  return endpoint;
}

/** An endpoint that another process serves on the bus. */
export function remoteEndpoint(
  options: Pick<ModelOptions, 'provider' | 'endpointName'>,
  { bus }: Pick<IModelFunctions, 'bus'>,
  kwargs: Fields,
): Endpoint {
  const { model } = kwargs;
  const inferred = inferProvider({ provider: options.provider, model: typeof model === 'string' ? model : undefined });
  if (bus === undefined) {
    throw IModelError.of('config', "Expected `bus` beside `endpoint: 'remote'`: it is where the endpoint is served", {
      field: 'bus',
    });
  }
  const defaults = inferred.model === undefined ? kwargs : { ...kwargs, model: inferred.model };
  const known = templateOf(inferred.provider, defaults);
  const name = options.endpointName ?? known?.config.provider ?? inferred.provider;
  return makeByRecipe({
    make: () => new RemoteEndpoint({ bus, name, template: templateOf(inferred.provider, defaults), kwargs: defaults }),
    options: { endpoint_name: name },
    allowsLocalNetwork: false,
    secrets: () => [],
    withheldHeaders: [],
    withheldFields: [],
  });
}

/** Options of an endpoint that its configuration does not show, as a dict writes them. */
function writtenOf({
  idleTimeout,
  passthrough,
  traceVendor,
  allowPrivateNetwork,
  fitToModel,
}: Fields): ModelDictOptions {
  return {
    ...(typeof idleTimeout === 'number' ? { idle_timeout: idleTimeout } : {}),
    ...(typeof passthrough === 'boolean' ? { passthrough } : {}),
    ...(typeof traceVendor === 'boolean' ? { trace_vendor: traceVendor } : {}),
    ...(typeof allowPrivateNetwork === 'boolean' ? { allow_private_network: allowPrivateNetwork } : {}),
    ...(typeof fitToModel === 'boolean' ? { fit_to_model: fitToModel } : {}),
  };
}

/** @throws IModelError `config` for what cannot be copied because it holds itself. */
function ownDefaults(provider: Fields): Fields {
  try {
    return copyOf(provider);
  } catch (error) {
    throw blamedOn(provider, error, 'config');
  }
}

/** A copy of plain data, deep; everything else in it (functions, connections) is shared. */
function copyOf<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copyOf) as T;
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyOf(item)])) as T;
}

/** What this process knows of such an endpoint; a provider that only its host knows is none of our business. */
function templateOf(provider: string, kwargs: Fields): Endpoint | null {
  if (findProvider(provider) === undefined) return null;
  return createEndpoint({ ...kwargs, provider });
}

const writtenSpellings = new Map([...modelOptionNames, ...functionNames].map((name) => [toSnakeCase(name), name]));

function refuseWrittenSpelling(name: string): void {
  const meant = writtenSpellings.get(name);
  if (meant === undefined || meant === name) return;
  throw IModelError.of('config', `Expected the option \`${meant}\` in camelCase, got \`${name}\``, { field: name });
}
