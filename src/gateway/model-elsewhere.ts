import { z } from 'zod';
import { filesToText } from '../../schemas/bytes.ts';
import type { Chunk } from '../../schemas/chunk.ts';
import type { CallOptions } from '../../schemas/imodel.ts';
import type { ModelState } from '../../schemas/state.ts';
import type { Bus } from '../bus/bus.ts';
import type { Endpoint, EndpointConfig, EndpointJob, EndpointReply, Fields } from '../endpoints/endpoint.ts';
import { IModelError } from '../errors.ts';
import { iModel } from '../imodel.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import type { ModelStream } from '../runtime/calls/model-stream.ts';
import type { Backlog } from '../runtime/model/model-state.ts';
import type { DiscoveredModel } from '../runtime/remote/discover.ts';
import type { RemoteCall } from '../runtime/remote/remote-call.ts';
import { connect, type RemoteModel } from '../runtime/remote/remote-model.ts';

/** The field of a request in which the options of its call come to the endpoint here. No request has one of this name. */
const optionsField = ' options';

/** Calls that may wait here: they wait where their iModel is. */
const queueCapacity = 1_000_000;

/** How long the host of a call may take to end it once it was told to, in milliseconds. */
const stopGraceMs = 6_000;

/**
 * An iModel of another process, as this process calls it: whatever is asked of it goes over the bus, its queue and its limits are there, and it
 * keeps none of its own.
 */
export class ModelElsewhere extends iModel {
  /** How it was found. */
  readonly found: DiscoveredModel;
  readonly #remote: RemoteModel;
  #state: ModelState;

  /** @param state - What it did when it was found. */
  constructor(bus: Bus, found: DiscoveredModel, state: ModelState) {
    const remote = connect(bus).model(found.id);
    super({
      id: found.id,
      createdAt: state.created_at,
      endpoint: new RemoteModelEndpoint(remote, found),
      retry: null,
      queueCapacity,
    });
    this.found = found;
    this.#remote = remote;
    this.#state = state;
  }

  /** What it did when it was last asked. */
  override get state(): ModelState {
    return this.#state;
  }

  override get backlog(): Backlog {
    return this.#state;
  }

  /** Asks what it does now. */
  async refresh(): Promise<ModelState> {
    this.#state = await this.#remote.state();
    return this.#state;
  }

  /** The way to it for all that concerns no call of this process. */
  get remote(): RemoteModel {
    return this.#remote;
  }

  override invoke(request: Fields | ApiCalling = {}, options: CallOptions = {}): Promise<ApiCalling> {
    return super.invoke(withOptions(request, options), localOptions(options));
  }

  override stream(request: Fields | ApiCalling = {}, options: CallOptions = {}): ModelStream {
    return super.stream(withOptions(request, options), localOptions(options));
  }
}

/** What of a call's options concerns this side: whose it is, by which id, and how it is taken back. */
function localOptions({ callId, signal, caller }: CallOptions): CallOptions {
  return { callId, signal, caller };
}

function withOptions(request: Fields | ApiCalling, { signal, callId, ...options }: CallOptions): Fields | ApiCalling {
  return 'payload' in request && typeof request.id === 'string' ? request : { ...request, [optionsField]: options };
}

/** Hands calls to an iModel on the bus, with its answers as they come. */
class RemoteModelEndpoint implements Endpoint {
  readonly config: EndpointConfig;
  readonly isCli: boolean;
  readonly isRelay = true;
  readonly requestOptions: z.ZodType | null;
  readonly transportFields = [optionsField];
  readonly stopGraceMs = stopGraceMs;
  readonly #remote: RemoteModel;

  constructor(remote: RemoteModel, { provider, model, protocol, isAgent, fields }: DiscoveredModel) {
    this.#remote = remote;
    this.isCli = isAgent;
    this.requestOptions =
      fields === null ? null : z.object(Object.fromEntries(fields.map((name) => [name, z.unknown()])));
    this.config = {
      name: `${provider}_${protocol}`,
      provider,
      baseUrl: null,
      endpoint: protocol,
      method: 'POST',
      authType: 'none',
      contentType: null,
      defaultHeaders: {},
      timeout: 0,
      requiresTokens: false,
      contextWindow: null,
      kwargs: model === '' ? {} : { model },
    };
  }

  /** Its host has the defaults, and checks. Files go there as texts. */
  prepare(request: Fields): Fields {
    return structuredClone(filesToText(request));
  }

  estimateTokens(): number {
    return 0;
  }

  async run(job: EndpointJob): Promise<EndpointReply> {
    const { stream: _stream, ...request } = job.payload;
    const given = job.transport[optionsField] as CallOptions | undefined;
    const options = { ...given, callId: job.callId, signal: job.signal };
    job.sent();
    try {
      const call =
        job.sink === null ? await this.#remote.invoke(request, options) : await this.#stream(job, request, options);
      if (call.error !== null) throw call.error;
      const { text, thinking, toolUses, finishReason, usage, response } = call;
      return { response, view: { text, thinking, toolUses, finishReason, usage } };
    } catch (error) {
      throw job.signal.aborted ? job.signal.reason : error;
    }
  }

  async close(): Promise<void> {}

  async #stream(job: EndpointJob, request: Fields, options: CallOptions): Promise<RemoteCall> {
    const { sink, signal } = job;
    const stream = this.#remote.stream(request, options);
    let isFirst = true;
    const write = (chunk: Chunk): boolean => sink?.write(chunk) ?? true;
    for await (const chunk of stream) {
      if (isFirst) job.answered();
      isFirst = false;
      if (write(chunk) || signal.aborted) continue;
      await new Promise<void>((resolve) => {
        sink?.onDrain(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    if (stream.call === null) throw IModelError.of('malformed', 'The stream ended without its call', { source: 'bus' });
    return stream.call;
  }
}
