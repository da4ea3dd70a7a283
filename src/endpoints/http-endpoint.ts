import { createHash } from 'node:crypto';
import { IModelError, printValue } from '../errors.ts';
import { HttpClient, type HttpClientOptions } from '../http/client.ts';
import type { BodyReader, Flow, HttpHeaders, HttpResponse } from '../http/exchange.ts';
import { parseRateLimitHeaders } from '../http/rate-limit-headers.ts';
import { readVendorError, record, type VendorError } from '../http/vendor-error.ts';
import { vendorFailure } from '../http/vendor-failure.ts';
import { estimateTokens } from '../tokens/estimate.ts';
import { Answer } from './answer.ts';
import type { BytesReader } from './bytes-reader.ts';
import { isCredentialName } from './credential-name.ts';
import { decodeJson } from './decode-json.ts';
import type { ChunkSink, Endpoint, EndpointConfig, EndpointJob, EndpointReply, Fields } from './endpoint.ts';
import { takeExtraBody, type WithoutExtra } from './extra-body.ts';
import { checkExtraHeaders, extraHeaders, withExtraHeaders } from './extra-headers.ts';
import { mergeFields, withoutField } from './fields.ts';
import { idempotencyKey } from './idempotency-key.ts';
import { type Protocol, type SideRequests, VendorFault } from './protocol.ts';
import { isEventStream, isStream, isSuccess, readerOf } from './reply-body.ts';
import { checkRequest } from './request-check.ts';
import { StreamReader } from './stream-reader.ts';
import { withUsageNote } from './usage-note.ts';
import { errorWithoutSecret, withoutSecret } from './without-secret.ts';

/** Asks for {@link withUsageNote}. No vendor sees it. */
const usageNote = 'include_token_usage_to_model';

/** A key and where it came from. */
export interface ResolvedKey {
  /** Null when the host needs none. */
  readonly key: string | null;
  /** The environment variable it was read from. */
  readonly variable?: string;
}

/** What {@link HttpEndpoint} needs. */
export interface HttpEndpointSettings {
  readonly config: EndpointConfig & { readonly baseUrl: string };
  readonly protocol: Protocol;
  /** Finds the key anew for each call. Throws `missing_api_key` when there is none and one is needed. */
  readonly resolveKey: () => ResolvedKey;
  readonly client?: HttpClientOptions;
  /** Longest silence between two pieces of a body, in milliseconds; the config's timeout when absent. */
  readonly idleTimeoutMs?: number;
  /** Sends fields the schema does not know instead of refusing them; a request's own `passthrough` wins. @defaultValue false */
  readonly passthrough?: boolean;
  /** Names that are refused or, with `passthrough` and for protocols without a schema, left out of the body. */
  readonly reservedFields?: ReadonlySet<string>;
  /** Sends the call's trace context to the vendor. @defaultValue false */
  readonly traceVendor?: boolean;
  /** Header, in lower case, that tells the vendor which requests are attempts of one call. @defaultValue none */
  readonly idempotencyHeader?: string;
  /** Whether the vendor's 409 means that the same request can succeed later. @defaultValue false */
  readonly conflictsPass?: boolean;
  /** Changes or leaves out fields that the named model does not take. @defaultValue true */
  readonly fitToModel?: boolean;
  /** Told when a request's field was changed or left out because the model does not take it. @defaultValue a warning of the process, once */
  readonly onWarning?: (message: string) => void;
}

/** Speaks any {@link Protocol} over HTTP: headers, key, one exchange, and the answer in the shared view. */
export class HttpEndpoint implements Endpoint {
  readonly config: EndpointConfig;
  readonly isCli = false;
  readonly requestOptions: Protocol['schema'];
  readonly transportFields: readonly string[];
  readonly #settings: HttpEndpointSettings;
  /** What a request has where it does not say otherwise. */
  readonly #defaults: WithoutExtra;
  readonly #origin: string;
  readonly #path: string;
  readonly #timeoutMs: number;
  /** Absent where the caller sends one of their own. */
  readonly #idempotencyHeader: string | undefined;
  /** Headers of every request that carry credentials, in lower case. */
  readonly #ownCredentials: ReadonlySet<string>;
  #client: HttpClient | null = null;
  readonly #warnings = new Set<string>();
  /** What the headers depend on, and the headers of the latest call: nearly every call has the same. */
  #headersForm = '';
  #lastHeaders: Record<string, string> = {};

  constructor(settings: HttpEndpointSettings) {
    this.#settings = settings;
    this.config = settings.config;
    this.requestOptions = settings.protocol.schema;
    this.#defaults = takeExtraBody(settings.protocol.schema, settings.config.kwargs);
    this.transportFields = [...(settings.protocol.transportFields ?? []), extraHeaders];
    const url = joinUrl(settings.config.baseUrl, settings.config.endpoint);
    this.#origin = url.origin;
    this.#path = url.pathname + url.search;
    this.#timeoutMs = settings.config.timeout * 1_000;
    const own = Object.keys(settings.config.defaultHeaders).map((name) => name.toLowerCase());
    this.#ownCredentials = new Set(own.filter(isCredentialName));
    const { idempotencyHeader } = settings;
    if (idempotencyHeader !== undefined && !own.includes(idempotencyHeader))
      this.#idempotencyHeader = idempotencyHeader;
  }

  prepare(request: Fields): Fields {
    const { protocol, reservedFields, onWarning } = this.#settings;
    const { passthrough = this.#settings.passthrough, [usageNote]: tellsUsage } = request;
    const own = withoutField(withoutField(request, 'passthrough'), usageNote);
    const { fields, extra } = takeExtraBody(protocol.schema, own);
    const merged = mergeFields(this.#defaults.fields, protocol.accept?.(fields) ?? fields);
    const checked = checkRequest(protocol.schema, merged, {
      passthrough: passthrough === true,
      ...(reservedFields && { reservedFields }),
    });
    const noted = tellsUsage === true && this.config.requiresTokens ? withUsageNote(checked, this.config) : checked;
    const payload = protocol.toWire(withoutNames(noted, this.transportFields), {
      streaming: checked.stream === true,
      provider: this.config.provider,
      fitsToModel: this.#settings.fitToModel ?? true,
      warn: (message) => (onWarning === undefined ? this.#warn(message) : onWarning(message)),
    });
    const last = extra ?? this.#defaults.extra;
    return last === null ? payload : mergeFields(payload, last);
  }

  checkTransport(transport: Fields): void {
    checkExtraHeaders(transport, this.#ownCredentials);
  }

  estimateTokens(payload: Fields): number {
    return this.config.requiresTokens ? estimateTokens(payload) : 0;
  }

  cacheKey(payload: Fields, transport: Fields): string | null {
    // What travels beside the body is a file, a header that may change the answer, or something to be done besides answering.
    if (Object.keys(transport).length > 0) return null;
    const { key } = this.#settings.resolveKey();
    const asked = JSON.stringify([this.config.method, this.#origin + this.#path, payload]);
    return createHash('sha256')
      .update(asked)
      .update('\0')
      .update(key ?? '')
      .digest('hex');
  }

  async run(job: EndpointJob): Promise<EndpointReply> {
    const { protocol } = this.#settings;
    if (job.sink !== null && protocol.framing === null) {
      throw IModelError.of('invalid_request', `${this.config.name} has no streaming answer`, { path: 'stream' });
    }
    const resolved = this.#settings.resolveKey();
    const answer = job.sink === null ? null : new Answer(job.sink, this.config.provider);
    const exchange = (): Promise<EndpointReply> => this.#exchange(job, resolved, answer);
    try {
      if (protocol.around === undefined) return await exchange();
      return await protocol.around(this.#sideRequests(job, resolved), exchange);
    } catch (error) {
      if (!(error instanceof VendorFault)) throw error;
      throw errorWithoutSecret(this.#failure(error, resolved), resolved.key);
    }
  }

  async #exchange(job: EndpointJob, resolved: ResolvedKey, answer: Answer | null): Promise<EndpointReply> {
    const { protocol } = this.#settings;
    const payload = protocol.finishWire?.(job.payload, answer !== null) ?? job.payload;
    const { body, contentType } =
      protocol.encode === undefined
        ? { body: JSON.stringify(payload), contentType: this.config.contentType }
        : await protocol.encode(payload, this.#transport(job));
    const open: { reader: StreamReader | BytesReader | null } = { reader: null };
    try {
      const reply = await this.#connect().send({
        origin: this.#origin,
        path: this.#path,
        headers: this.#headersOf(job, this.#headers(resolved.key, contentType, answer !== null)),
        body,
        signal: job.abortSource ?? job.signal,
        headersTimeoutMs: this.#timeoutMs,
        idleTimeoutMs: this.#settings.idleTimeoutMs ?? this.#timeoutMs,
        withheld: () => job.withheld?.() === true,
        sent: () => job.sent(),
        answered: (status) => {
          job.trace?.responded?.(status);
          if (isSuccess(status)) job.answered();
        },
        reader: (status, headers): BodyReader | null => {
          this.#learn(headers, job);
          if (answer === null || !isStream(status, headers)) return null;
          open.reader = readerOf(protocol, answer, job.payload, headers);
          return open.reader;
        },
      });
      if (answer !== null && open.reader !== null) return { response: open.reader.response(), view: answer.view() };
      if (isSuccess(reply.status) && isEventStream(protocol, reply)) {
        // Some hosts stream whatever they are asked for, and some call what they stream JSON.
        const whole = answer ?? new Answer(nowhere, this.config.provider);
        const reader = new StreamReader(protocol, whole, job.payload);
        if (answer !== null) open.reader = reader;
        reader.data(reply.body, unregulated);
        reader.end();
        return { response: reader.response(), view: whole.view() };
      }
      return this.#read(reply, answer);
    } catch (error) {
      const said = error instanceof VendorFault ? this.#failure(error, resolved) : error;
      const thrown = errorWithoutSecret(said, resolved.key);
      if (open.reader !== null && !(job.abortSource ?? job.signal).aborted && IModelError.is(thrown)) {
        answer?.fail(thrown.failure, error instanceof VendorFault ? withoutSecret(error.raw, resolved.key) : undefined);
      }
      // What had arrived is the call's, however it ends: it has been paid for.
      if (open.reader !== null && answer !== null && IModelError.is(thrown)) {
        thrown.partial = { response: open.reader.response(), view: answer.view() };
      }
      throw thrown;
    }
  }

  #failure(fault: VendorFault, { key, variable }: ResolvedKey): IModelError {
    const { conflictsPass = false } = this.#settings;
    const context = { provider: this.config.provider, secret: key, variable, conflictsPass, now: Date.now() };
    return new IModelError(vendorFailure(fault.vendor, context), { cause: fault });
  }

  #warn(message: string): void {
    if (this.#warnings.has(message)) return;
    this.#warnings.add(message);
    process.emitWarning(message, 'IModelWarning');
  }

  #connect(): HttpClient {
    this.#client ??= new HttpClient(this.#settings.client);
    return this.#client;
  }

  #transport(job: EndpointJob): Fields {
    const defaults = this.transportFields.filter((name) => name in this.config.kwargs);
    return { ...Object.fromEntries(defaults.map((name) => [name, this.config.kwargs[name]])), ...job.transport };
  }

  #sideRequests(job: EndpointJob, { key }: ResolvedKey): SideRequests {
    return {
      payload: job.payload,
      transport: this.#transport(job),
      signal: job.signal,
      origin: this.#origin,
      basePath: this.#path.slice(0, -this.config.endpoint.length).replace(/\/+$/, ''),
      send: async (method, path, { body, reader, signal = job.signal } = {}) => {
        const reply = await this.#connect().send({
          method,
          origin: this.#origin,
          path,
          headers: withExtraHeaders(
            this.#headers(key, body === undefined ? null : 'application/json', false),
            job.transport,
          ),
          body: body === undefined ? null : JSON.stringify(body),
          signal,
          headersTimeoutMs: this.#timeoutMs,
          idleTimeoutMs: this.#timeoutMs,
          reader: (status) => (status < 300 && reader !== undefined ? reader : null),
        });
        if (!isSuccess(reply.status)) throw new VendorFault(this.#errorIn(reply), undefined);
        return reply;
      },
    };
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    await client?.close();
  }

  /** Reads a reply that came in one piece; for a streaming caller it is written out as a stream of one. */
  #read(reply: HttpResponse, answer: Answer | null): EndpointReply {
    const { protocol } = this.#settings;
    if (!isSuccess(reply.status)) throw new VendorFault(this.#errorIn(reply), undefined);
    const response = reply.body.length === 0 && reply.status === 204 ? null : (protocol.decode ?? decodeJson)(reply);
    const fault = (protocol.faultIn ?? defaultFault)(response);
    if (fault !== null) throw new VendorFault(fault, response);
    const view = protocol.fromWire(response);
    if (answer !== null) {
      if (view.thinking !== '') answer.writeThinking(view.thinking);
      if (view.text !== '') answer.writeText(view.text);
      for (const use of view.toolUses) {
        const call = answer.openTool({ id: use.id, name: use.name });
        call.arguments = use.rawArguments ?? JSON.stringify(use.input);
      }
      protocol.writeWhole?.(answer, response);
      answer.finishReason = view.finishReason;
      answer.usage = view.usage;
      answer.finish();
    }
    return { response, view };
  }

  #errorIn(reply: HttpResponse): VendorError {
    const text = reply.body.toString('utf8');
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      body = undefined;
    }
    const read =
      this.#settings.protocol.readError ?? ((value, raw) => readVendorError(value, raw, reply.status, reply.headers));
    const error = read(body, text, reply);
    if (reply.status < 300 || reply.status > 399) return error;
    return { ...error, message: `The host redirects to another address, and redirects are not followed` };
  }

  #headers(key: string | null, contentType: string | null, streaming: boolean): Record<string, string> {
    const form = `${contentType} ${streaming} ${key}`;
    if (form === this.#headersForm) return this.#lastHeaders;
    const { authType, defaultHeaders } = this.config;
    const headers: Record<string, string> = {};
    if (contentType !== null) headers['content-type'] = contentType;
    headers.accept = streaming ? 'text/event-stream, application/x-ndjson, application/json' : '*/*';
    if (key !== null && authType === 'bearer') headers.authorization = `Bearer ${key}`;
    if (key !== null && authType === 'x-api-key') headers['x-api-key'] = key;
    this.#headersForm = form;
    this.#lastHeaders = Object.assign(headers, defaultHeaders);
    return this.#lastHeaders;
  }

  /** The headers of one call: those of all, what its attempts have in common, and what its request brings. */
  #headersOf({ callId, trace, transport }: EndpointJob, headers: Record<string, string>): Record<string, string> {
    const name = this.#idempotencyHeader;
    const told = this.#settings.traceVendor === true && trace != null ? { ...trace.headers, ...headers } : headers;
    return withExtraHeaders(name === undefined ? told : { ...told, [name]: idempotencyKey(callId) }, transport);
  }

  #learn(headers: HttpHeaders, job: EndpointJob): void {
    if (job.onRateLimit === undefined) return;
    const info = parseRateLimitHeaders(headers, Date.now());
    if (info !== null) job.onRateLimit(info);
  }
}

/**
 * Joins base and path with exactly one slash between them; a query of the base is kept.
 *
 * @throws IModelError `config` when the base is no http(s) URL.
 */
export function joinUrl(baseUrl: string, path: string): URL {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) throw badBaseUrl('an http or https URL', baseUrl);
  // They would be left out without a word, and stand in every dict.
  if (url.username !== '' || url.password !== '') throw badBaseUrl('a URL without user name and password', baseUrl);
  url.pathname = [url.pathname.replace(/\/+$/, ''), path.replace(/^\/+|\/+$/g, '')]
    .filter((part) => part !== '')
    .join('/');
  url.hash = '';
  return url;
}

function badBaseUrl(expected: string, baseUrl: string): IModelError {
  const shown = baseUrl.replace(/^([a-z][a-z0-9+.-]*:\/\/)?[^/?#]*@/i, '$1(hidden)@').replace(/\?.*$/, '?(hidden)');
  const value = printValue(shown);
  const message = `Expected \`baseUrl\` to be ${expected}, got ${value}`;
  return IModelError.of('config', message, { field: 'baseUrl', value });
}

function withoutNames(fields: Fields, names: readonly string[]): Fields {
  if (!names.some((name) => name in fields)) return fields;
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}

/** For an answer that is put together, but that nobody reads piece by piece. */
const nowhere: ChunkSink = { write: () => true, onDrain: () => {} };

/** For a body that has come already. */
const unregulated: Flow = { pause: () => {}, resume: () => {}, finish: () => {}, fail: () => {} };

function defaultFault(body: unknown): VendorError | null {
  const outer = record(Array.isArray(body) ? body[0] : body);
  if (outer === undefined || outer.error === undefined || outer.error === null || outer.choices !== undefined)
    return null;
  return readVendorError(body, JSON.stringify(body));
}
