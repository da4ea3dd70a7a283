import type { CallOptions } from '../../schemas/imodel.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError } from '../errors.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import type { ModelStream } from '../runtime/calls/model-stream.ts';
import type { RemoteCall } from '../runtime/remote/remote-call.ts';
import type { RemoteStream } from '../runtime/remote/remote-stream.ts';
import { connectFlags } from './connection.ts';
import type { NatsFlags } from './options.ts';
import { UsageError } from './report-error.ts';

/** Which model is meant. */
export interface TargetFlags extends NatsFlags {
  readonly config?: string;
  readonly baseUrl?: string;
  readonly json?: boolean;
}

/** A model that can be called, wherever it is. */
export interface Target {
  /** As the user named it. */
  readonly name: string;
  invoke(request: Fields, options: CallOptions): Promise<ApiCalling | RemoteCall>;
  stream(request: Fields, options: CallOptions): ModelStream | RemoteStream;
  /** Ends what belongs to it. Resolves when sockets and child processes are gone. */
  close(): Promise<void>;
}

/**
 * Finds the model that a command line names: with a slash in it, or without a server or a file, it is a vendor's model and runs in this
 * process; else it is the id of one in the configuration file, or of one that is served on NATS.
 *
 * @throws UsageError for flags that exclude each other; IModelError as `iModel`, `loadConfig` and `connectNats`.
 */
export async function openTarget(name: string, flags: TargetFlags, signal: AbortSignal): Promise<Target> {
  const { config, baseUrl } = flags;
  if (config !== undefined) return configured(name, config);
  const isModel = name.includes('/') || baseUrl !== undefined || !flags.nats;
  if (!isModel) return served(name, flags, signal);
  const { iModel } = await import('../imodel.ts');
  return local(name, new iModel({ model: name, ...(baseUrl === undefined ? {} : { baseUrl }) }));
}

async function configured(id: string, path: string): Promise<Target> {
  const [{ loadConfig }, { createRuntime }] = await Promise.all([
    import('../runtime/load-config.ts'),
    import('../runtime/runtime.ts'),
  ]);
  const { models } = await loadConfig(path);
  const own = models[id];
  if (own === undefined) {
    const ids = Object.keys(models).join(', ');
    throw new UsageError(`Expected the id of an iModel of ${path} (${ids}), got \`${id}\``);
  }
  // The runtime names file and option when the endpoint does not take one.
  const runtime = await inFile(path, () => createRuntime({ models: { [id]: own } }));
  const model = runtime.models.get(id);
  if (model === undefined) throw IModelError.of('internal', `The runtime does not host ${id}`, {});
  return { ...local(id, model), close: () => runtime.close() };
}

async function served(id: string, flags: TargetFlags, signal: AbortSignal): Promise<Target> {
  const { connect } = await import('../runtime/remote/remote-model.ts');
  const bus = await connectFlags(flags, flags.json === true, signal);
  try {
    const model = connect(bus).model(id);
    return {
      name: id,
      invoke: (request, options) => model.invoke(request, options),
      stream: (request, options) => model.stream(request, options),
      close: () => bus.close(),
    };
  } catch (error) {
    await bus.close();
    throw error;
  }
}

function local(
  name: string,
  model: {
    invoke(request: Fields, options: CallOptions): Promise<ApiCalling>;
    stream(request: Fields, options: CallOptions): ModelStream;
    close(): Promise<void>;
  },
): Target {
  return {
    name,
    invoke: (request, options) => model.invoke(request, options),
    stream: (request, options) => model.stream(request, options),
    close: () => model.close(),
  };
}

/** Puts the file before an error about what stands in it. */
export async function inFile<T>(path: string, make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    if (!IModelError.is(error) || error.failure.code !== 'config' || !error.failure.field?.startsWith('models'))
      throw error;
    const { message, field } = error.failure;
    throw IModelError.of('config', `${path}: ${message}`, { field }, { cause: error });
  }
}
