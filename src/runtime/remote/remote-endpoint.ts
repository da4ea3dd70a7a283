import { bytesFromWire, bytesToWire } from '../../../schemas/bytes.ts';
import { viewFromWire } from '../../../schemas/call.ts';
import { chunkFromWire } from '../../../schemas/chunk.ts';
import { type EndpointControl, endpointAccepted, endpointMessage, endpointReplay } from '../../../schemas/endpoint.ts';
import type { Bus, PublishOptions } from '../../bus/bus.ts';
import { NumberedReader } from '../../bus/numbered-reader.ts';
import type { NumberedMessage } from '../../bus/numbered-sender.ts';
import { checkToken, endpointQueue, subjects } from '../../bus/subjects.ts';
import type { Endpoint, EndpointConfig, EndpointJob, EndpointReply, Fields } from '../../endpoints/endpoint.ts';
import { ownRequest } from '../../endpoints/unwritable.ts';
import { IModelError } from '../../errors.ts';
import { checkedReply } from './read-reply.ts';

/** Messages a host may send ahead; returned at half. */
const credit = 128;

/** How long the acceptance of a call, or one question for lost messages, waits, in milliseconds. */
const answerTimeoutMs = 5_000;

/** Silence after which a host counts as gone: it shows every 400 ms that a call lives. In milliseconds. */
const idleTimeoutMs = 15_000;

/** How long a host may take to confirm a cancel, beyond what its endpoint may need to stop, in milliseconds. */
const hostGraceMs = 2_000;

/** How often a host is shown that its iModel is still there, in milliseconds. */
const heartbeatMs = 10_000;

/** What a {@link RemoteEndpoint} is made from. */
export interface RemoteEndpointOptions {
  readonly bus: Bus;
  /** The name it is served under. */
  readonly name: string;
  /** An endpoint of the same kind here, for its configuration and its checks; it is never run. Null when nothing is known of it. */
  readonly template: Endpoint | null;
  /** Request defaults, as the options of the iModel name them. */
  readonly kwargs: Fields;
}

/**
 * An endpoint that runs elsewhere, as the iModel sees it: same order, cancel, credit and failures as one in this process. When its host dies
 * the call fails with `unavailable`, and what had arrived is kept as the partial result.
 */
export class RemoteEndpoint implements Endpoint {
  readonly config: EndpointConfig;
  readonly isCli: boolean;
  readonly isElsewhere = true;
  readonly requestOptions: Endpoint['requestOptions'];
  readonly transportFields: readonly string[];
  readonly defaultLimits?: NonNullable<Endpoint['defaultLimits']>;
  readonly stopGraceMs?: number;
  readonly #options: RemoteEndpointOptions;

  constructor(options: RemoteEndpointOptions) {
    const { template, name } = options;
    this.#options = { ...options, name: checkToken(name, 'endpointName') };
    this.config = {
      ...(template?.config ?? unknownConfig(name)),
      kwargs: { ...template?.config.kwargs, ...options.kwargs },
    };
    this.isCli = template?.isCli ?? false;
    this.requestOptions = template?.requestOptions ?? null;
    this.transportFields = template?.transportFields ?? [];
    if (template?.defaultLimits !== undefined) this.defaultLimits = template.defaultLimits;
    if (template?.stopGraceMs !== undefined) this.stopGraceMs = template.stopGraceMs + hostGraceMs;
    refuseFunctions(options.kwargs, 'config');
  }

  /** The session stays with the iModel: the host serves many, and keeps none. */
  get sessionId(): string | null | undefined {
    return this.#options.template?.sessionId;
  }

  set sessionId(id: string | null | undefined) {
    const { template } = this.#options;
    if (template?.sessionId !== undefined) template.sessionId = id ?? null;
  }

  /** The request with its defaults; the host translates it. What is wrong with it is found here already where the kind is known. */
  prepare(request: Fields): Fields {
    const { template, kwargs } = this.#options;
    const whole = ownRequest({ ...kwargs, ...request });
    const checked = template?.prepare(whole);
    // Which session a call goes on with is decided here, where the session is known.
    return typeof template?.sessionId !== 'string' ? whole : { ...whole, resume: checked?.resume };
  }

  estimateTokens(payload: Fields): number {
    return this.#options.template?.estimateTokens(payload) ?? 0;
  }

  async run(job: EndpointJob): Promise<EndpointReply> {
    refuseFunctions(job.transport, 'invalid_request');
    const before = this.sessionId;
    const reply = await new RemoteRun(this.#options, job).result;
    // The same rule as beside the program: of calls that overlapped the first to end keeps its session.
    if (reply.sessionId !== undefined && this.sessionId === before) this.sessionId = reply.sessionId;
    return reply;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** One run on another host. */
class RemoteRun {
  readonly result: Promise<EndpointReply>;
  readonly #bus: Bus;
  readonly #name: string;
  readonly #job: EndpointJob;
  readonly #graceMs: number;
  readonly #reader: NumberedReader;
  #settle: { resolve(reply: EndpointReply): void; reject(error: unknown): void } = {
    resolve: () => {},
    reject: () => {},
  };
  #node: string | null = null;
  #unreported = 0;
  #isBehind = false;
  #text = '';
  #thinking = '';
  #graceTimer: NodeJS.Timeout | undefined;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #abort = (): void => this.#cancel();

  constructor({ bus, name, template }: RemoteEndpointOptions, job: EndpointJob) {
    this.#bus = bus;
    this.#name = name;
    this.#graceMs = (template?.stopGraceMs ?? 0) + hostGraceMs;
    this.#job = job;
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#reader = new NumberedReader({
      bus,
      subject: subjects.endpointOut(name, job.callId),
      queue: endpointQueue,
      idleTimeoutMs,
      ask: (afterSeq) => this.#ask(afterSeq),
      take: (message) => this.#take(message),
      fail: (error) => this.#fail(asUnavailable(error, name)),
    });
    this.#heartbeat = setInterval(() => this.#tell({ type: 'extend', call_id: job.callId }), heartbeatMs);
    this.#heartbeat.unref();
    if (job.signal.aborted) {
      this.#fail(job.signal.reason);
      return;
    }
    job.signal.addEventListener('abort', this.#abort, { once: true });
    this.#call().catch((error: unknown) => this.#fail(error));
  }

  async #call(): Promise<void> {
    const { callId, payload, transport, sink, trace } = this.#job;
    const files = bytesToWire(transport);
    const body = { call_id: callId, payload, transport: files, streaming: sink !== null, credit };
    const headers = trace == null ? {} : { headers: trace.headers };
    const options = { timeoutMs: answerTimeoutMs, idempotent: true, ...headers };
    const reply = await this.#bus.request(subjects.endpointCall(this.#name), body, options);
    this.#node = checkedReply(endpointAccepted, reply).node;
    this.#giveCredit(0);
  }

  #take(message: NumberedMessage): void {
    const parsed = endpointMessage.safeParse(message);
    if (!parsed.success) {
      const text = `A message of endpoint ${this.#name} could not be read`;
      this.#fail(IModelError.of('malformed', text, { source: 'bus' }));
      return;
    }
    const { data } = parsed;
    switch (data.kind) {
      case 'sent':
        this.#job.sent();
        break;
      case 'answered':
        this.#job.answered();
        break;
      case 'note':
        this.#job.journal?.(data.note);
        break;
      case 'chunk':
        this.#chunk(data);
        return;
      case 'end': {
        const view = data.view === null ? this.#partialView() : viewFromWire(data.view);
        const response = bytesFromWire(data.response);
        const reply = { response, view, ...(data.session_id ? { sessionId: data.session_id } : {}) };
        if (data.failure === null) this.#finish(() => this.#settle.resolve(reply));
        else this.#fail(new IModelError(data.failure), reply);
        return;
      }
      default:
        data satisfies never;
    }
    this.#giveCredit(1);
  }

  #chunk(wire: Parameters<typeof chunkFromWire>[0]): void {
    const { sink } = this.#job;
    const chunk = chunkFromWire(wire);
    if (chunk.type === 'text') this.#text += chunk.content ?? '';
    if (chunk.type === 'thinking') this.#thinking += chunk.content ?? '';
    if (sink === null || sink.write(chunk)) {
      this.#giveCredit(1);
      return;
    }
    // The reader is behind: the credit for what it holds is returned when it has caught up.
    this.#unreported += 1;
    if (this.#isBehind) return;
    this.#isBehind = true;
    sink.onDrain(() => {
      this.#isBehind = false;
      this.#giveCredit(0);
    });
  }

  #giveCredit(taken: number): void {
    this.#unreported += taken;
    if (this.#isBehind || this.#node === null || this.#unreported * 2 < credit) return;
    this.#tell({ type: 'credit', call_id: this.#job.callId, chunks: this.#unreported });
    this.#unreported = 0;
  }

  /** Says something to the node that runs the call, once it is known. */
  #tell(request: EndpointControl): void {
    if (this.#node !== null) this.#publish(subjects.endpointCtl(this.#name, this.#node), request, { toOne: true });
  }

  async #ask(afterSeq: number): Promise<readonly unknown[]> {
    // Before a node has accepted the call there is nothing to have missed.
    if (this.#node === null) return [];
    const body = { type: 'resume', call_id: this.#job.callId, after_seq: afterSeq };
    const subject = subjects.endpointCtl(this.#name, this.#node);
    const reply = await this.#bus.request(subject, body, { timeoutMs: 1_000 });
    return checkedReply(endpointReplay, reply).messages;
  }

  /** Asks the host to stop, and gives it time to say that it has; a host that is gone is not waited for. */
  #cancel(): void {
    const { reason } = this.#job.signal;
    const text = reason instanceof Error ? reason.message : String(reason);
    this.#publish(subjects.endpointCancel(this.#name), { call_id: this.#job.callId, reason: text.slice(0, 1_000) });
    this.#graceTimer = setTimeout(() => this.#fail(reason), this.#graceMs);
    this.#ask(0).catch((error: unknown) => {
      if (IModelError.is(error) && error.code === 'no_responder') this.#fail(reason);
    });
  }

  #publish(subject: string, body: object, options?: PublishOptions): void {
    try {
      this.#bus.publish(subject, body, options);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown, partial?: EndpointReply): void {
    const { signal } = this.#job;
    const thrown = signal.aborted ? signal.reason : error;
    if (IModelError.is(thrown)) {
      thrown.partial ??= partial ?? { response: null, view: this.#partialView() };
    }
    this.#finish(() => this.#settle.reject(thrown));
  }

  #finish(settle: () => void): void {
    clearTimeout(this.#graceTimer);
    clearInterval(this.#heartbeat);
    this.#job.signal.removeEventListener('abort', this.#abort);
    this.#reader?.close();
    settle();
  }

  #partialView(): EndpointReply['view'] {
    return { text: this.#text, thinking: this.#thinking, toolUses: [], finishReason: null, usage: null };
  }
}

/** Callbacks cannot be called from another process: whoever wants to hear what an agent does reads its stream. */
function refuseFunctions(fields: Fields, code: 'config' | 'invalid_request'): void {
  for (const [name, value] of Object.entries(fields)) {
    const parts = typeof value === 'object' && value !== null ? Object.values(value) : [value];
    if (!parts.some((part) => typeof part === 'function')) continue;
    const message = `Expected no functions in \`${name}\` of an endpoint that is served elsewhere: read the stream instead`;
    throw code === 'config'
      ? IModelError.of(code, message, { field: name })
      : IModelError.of(code, message, { path: name });
  }
}

function asUnavailable(error: IModelError, name: string): IModelError {
  if (error.code === 'malformed') return error;
  return IModelError.of('unavailable', `The host of endpoint ${name} is gone: ${error.message}`, {}, { cause: error });
}

function unknownConfig(name: string): EndpointConfig {
  return {
    name: `${name}_remote`,
    provider: name,
    baseUrl: null,
    endpoint: 'remote',
    method: 'POST',
    authType: 'none',
    contentType: null,
    defaultHeaders: {},
    timeout: 600,
    requiresTokens: false,
    contextWindow: null,
    kwargs: {},
  };
}
