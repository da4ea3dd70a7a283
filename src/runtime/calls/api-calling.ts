import { statusOf } from '../../../actors/call.ts';
import type { CallRow } from '../../../actors/call-row.ts';
import type { CallDict, CallStatus, WireCall } from '../../../schemas/call.ts';
import type { AnswerView, FinishReason, ToolUse, Usage } from '../../../schemas/chunk.ts';
import type { WaitReason } from '../../../schemas/event.ts';
import type { Failure } from '../../../schemas/failure.ts';
import type { CallOutcome } from '../../../schemas/hook.ts';
import type { LiveCall } from '../../../schemas/live-state.ts';
import type { ChunkSink, EndpointReply, Fields } from '../../endpoints/endpoint.ts';
import { ownRequest } from '../../endpoints/unwritable.ts';
import { IModelError } from '../../errors.ts';
import type { CallHooks } from '../../hooks/call-hooks.ts';
import type { ChunkOutlet } from '../../hooks/chunk-outlet.ts';
import type { CallSpan } from '../../telemetry/call-span.ts';
import type { OwnTime } from '../../telemetry/own-time.ts';
import { nothingSpent, type Spending } from '../../tokens/spending.ts';
import { AttemptResults } from './attempt-results.ts';
import { type CallTiming, writeCallDict, writeWireCall } from './call-dict.ts';
import type { CallEntry } from './call-entry.ts';
import type { CallOwner } from './call-owner.ts';

/** Groups of errors stop growing here. */
const maxErrors = 100;

const emptyView: AnswerView = { text: '', thinking: '', toolUses: [], finishReason: null, usage: null };

/** How an outcome is written. @internal */
export type ReplyType = NonNullable<LiveCall['reply_type']>;

/** What a call is made from. @internal */
export interface CallInit {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly createdAtMs: number;
  readonly payload: Fields;
  readonly transport: Fields;
  readonly owner: CallOwner;
  readonly metadata?: Record<string, unknown> | undefined;
}

type EndListener = (call: ApiCalling) => void;

/**
 * One call: what is sent, where it stands, and what came of it. Made by `createApiCalling`, `invoke` or `stream`; ends exactly once.
 *
 * Response, error, usage and timing are complete when the status becomes final, and never change afterwards.
 */
export class ApiCalling {
  /** What it is cancelled, resumed and looked up by: 1 to 64 of `[A-Za-z0-9_-]`; a UUIDv4 unless its caller chose one. */
  readonly id: string;
  /** Where chunks go; null for a one-shot call. @internal */
  sink: ChunkSink | null = null;
  /** The W3C trace context it belongs to, as headers; null without one. @internal */
  trace: Readonly<Record<string, string>> | null = null;
  /** What it had to wait for; null for one that started at once. @internal */
  waitReason: WaitReason | null = null;
  /** How long it was ours; null where nobody wants to know. @internal */
  own: OwnTime | null = null;
  /** Follows it for whoever collects traces; null where nobody does. @internal */
  span: CallSpan | null = null;
  /** Who asked for it on the bus, as the message said. @internal */
  askedBy = '';
  /** How often it was sent. */
  attempts = 0;
  /** Chunks of its stream that have come so far. @internal */
  chunks = 0;
  /** What its caller asked for, kept where another model may have to be asked. @internal */
  request: Fields | null = null;
  /** What its chunks pass on their way to the reader; null for most calls. @internal */
  outlet: ChunkOutlet | null = null;
  /** What runs before and after it; null for most calls. @internal */
  hooks: CallHooks | null = null;
  /** Whether an earlier answer will do. @internal */
  isCached = false;
  /** What runs for it at the moment. @internal */
  entry: CallEntry | null = null;
  /** Where its caller waits for the outcome, and how it is written there; null for calls that did not come over a bus. @internal */
  replyTo: string | null = null;
  /** @internal */
  replyType: ReplyType | null = null;
  /** Whether its reader left the stream. @internal */
  isLeft = false;
  /** What its canceller gave as the reason. @internal */
  cause: unknown = null;

  #payload: Fields;
  #transport: Fields;
  readonly #createdAtMs: number;
  readonly #owner: CallOwner;
  /** Made when somebody looks. */
  #metadata: Record<string, unknown> | null;
  #row: CallRow | null = null;
  /** Null until something came. */
  #results: AttemptResults | null = null;
  // Epoch milliseconds, -1 while it has not happened: a virtual clock may well stand at 0.
  #firstChunkAt = -1;
  #endedAt = -1;
  #outcome: CallOutcome | null = null;
  /** When it was clear how it ends. */
  #decidedAt = -1;
  #failure: Failure | null = null;
  /** What it will end with, while its post hook runs. */
  #ending: unknown = null;
  #errors: unknown[] | null = null;
  /** One, or several in the order of their coming. */
  #listeners: EndListener | EndListener[] | null = null;

  /** @internal */
  constructor(init: CallInit) {
    this.id = init.id;
    this.#payload = init.payload;
    this.#transport = init.transport;
    this.#metadata = init.metadata ?? null;
    this.#createdAtMs = init.createdAtMs;
    this.#owner = init.owner;
  }

  /** The body that is or would be sent: request over defaults, in the vendor's fields. */
  get payload(): Fields {
    return this.#payload;
  }

  /** Values that travel beside the body, such as a file. */
  get transport(): Fields {
    return this.#transport;
  }

  /** Whether its answer comes in chunks. @internal */
  get isStreamed(): boolean {
    return this.sink !== null || (this.request ?? this.#payload).stream === true;
  }

  /** The caller's own notes; written into {@link toDict}. */
  get metadata(): Record<string, unknown> {
    this.#metadata ??= {};
    return this.#metadata;
  }

  /** Epoch seconds. */
  get createdAt(): number {
    return this.#createdAtMs / 1_000;
  }

  /** Where it stands: `pending`, `processing`, or how it ended. */
  get status(): CallStatus {
    return this.#row === null ? 'pending' : statusOf(this.#row.state);
  }

  /** True once the status is final. */
  get ended(): boolean {
    return this.#endedAt >= 0;
  }

  /** How it ends, as soon as that is clear: a post hook reads it while the call is still `processing`. Null before. */
  get outcome(): CallOutcome | null {
    if (this.#outcome !== null || !this.ended) return this.#outcome;
    const { status } = this;
    return status === 'completed' || status === 'cancelled' || status === 'aborted' ? status : 'failed';
  }

  /** The vendor's body, untouched; the aggregate after a stream; null before the end and where there is none. */
  get response(): unknown {
    return this.#visible?.reply?.response ?? null;
  }

  /** The answer's text, whoever the vendor; empty when there is none. */
  get text(): string {
    return this.#view.text;
  }

  /** The reasoning the vendor showed. */
  get thinking(): string {
    return this.#view.thinking;
  }

  /** The tools the model asked for. */
  get toolUses(): readonly ToolUse[] {
    return this.#view.toolUses;
  }

  /** Why the model stopped; null when it did not finish or has no such word. */
  get finishReason(): FinishReason | null {
    return this.#view.finishReason;
  }

  /** What was reported to have been used, by all attempts and stand-ins together. */
  get usage(): Usage | null {
    return this.#spending.usage;
  }

  /** What that cost in US dollars, by the option `prices`; null while the usage or a price is not known. */
  get cost(): number | null {
    return this.#spending.cost;
  }

  /** Why the call did not complete, as data; null when it did or has not ended. */
  get failure(): Failure | null {
    return this.#failure;
  }

  /** The error, or an `AggregateError` when several were added; null when there is none. */
  get error(): unknown {
    const errors = this.#ending === null ? this.#errors : [this.#ending, ...(this.#errors ?? [])];
    if (errors === null) return null;
    return errors.length === 1 ? errors[0] : new AggregateError(errors, `${errors.length} errors`);
  }

  /** Seconds from dispatch to the end, or in a post hook so far; null before the end and for calls that never started. */
  get duration(): number | null {
    const { startedAt } = this.timing;
    const endedAt = this.ended ? this.#endedAt : this.#decidedAt;
    return startedAt === null || endedAt < 0 ? null : (endedAt - startedAt) / 1_000;
  }

  /** When it passed its stations. */
  get timing(): CallTiming {
    return {
      queuedAt: instant(this.#row?.queuedAt),
      startedAt: this.#row?.startedAt ?? null,
      firstChunkAt: instant(this.#firstChunkAt),
      endedAt: instant(this.#endedAt),
    };
  }

  /** Resolves with this call when it has ended, however it did; at once when it already has. */
  get done(): Promise<this> {
    return new Promise((resolve) => this.onEnd(() => resolve(this)));
  }

  /** Calls back when the call has ended: synchronously within the final transition, or at once when it already has. What it throws is ignored. */
  onEnd(listener: EndListener): void {
    if (this.ended) notify(listener, this);
    else if (this.#listeners === null) this.#listeners = listener;
    else if (Array.isArray(this.#listeners)) this.#listeners.push(listener);
    else this.#listeners = [this.#listeners, listener];
  }

  /** Takes the call back. The connection or process is gone before the status is `cancelled`. Idempotent; nothing happens after the end. */
  cancel(reason?: unknown): void {
    this.#owner.cancel(this, reason);
  }

  /** Ends the call as failed; otherwise as {@link cancel}. @internal */
  fail(error: unknown): void {
    this.#owner.fail(this, error);
  }

  /** Adds a further error to the record, up to 100. It does not change the status. */
  addError(error: unknown): void {
    this.#errors ??= [];
    if (this.#errors.length < maxErrors) this.#errors.push(error);
  }

  /**
   * Returns normally only for a completed call.
   *
   * @throws IModelError the call's own error, or `invalid_request` when it has none; the message never holds the response.
   */
  assertCompleted(): void {
    if (this.status === 'completed') return;
    const { response: _response, ...execution } = this.toDict().execution;
    const message = `Expected call ${this.id} to be completed: ${JSON.stringify(execution)}`;
    throw IModelError.of('invalid_request', message, {}, { cause: this.error });
  }

  /**
   * A new, pending call with the same payload, deeply copied, for the same endpoint.
   *
   * @param copyMetadata - Whether the caller's notes come along. `metadata.original` names this call either way.
   */
  asFreshEvent(copyMetadata = false): ApiCalling {
    const metadata = copyMetadata ? structuredClone(this.metadata) : {};
    metadata.original = { id: this.id, created_at: this.createdAt };
    const fresh = this.#owner.renew(this, ownRequest(this.payload), { ...this.transport }, metadata);
    fresh.hooks = this.hooks?.renew() ?? null;
    fresh.isCached = this.isCached;
    return fresh;
  }

  /** The call as plain data, with exactly the reference's keys. Holds no header and no key. */
  toDict(): CallDict {
    return writeCallDict(this, this.#metadata);
  }

  /** The ended call as it travels over a bus. @internal */
  toWire(): WireCall {
    return writeWireCall(this, this.#metadata, { ...this.#view, usage: this.usage });
  }

  /** The dispatcher's row, once submitted. @internal */
  get row(): CallRow | null {
    return this.#row;
  }

  /** @internal */
  submitAs(row: CallRow): void {
    this.#row = row;
  }

  /** What an attempt brought; becomes visible when the call ends. The usage of earlier ones stays counted. @internal */
  bring(reply: EndpointReply): void {
    if (!this.ended) this.#resultsSoFar.bring(reply);
  }

  /** What was used for it beside what it brings. @internal */
  alsoSpent(spending: Spending): void {
    this.#resultsSoFar.alsoSpent(spending);
  }

  /** @internal */
  chunkArrived(at: number): void {
    if (this.#firstChunkAt >= 0) return;
    this.#firstChunkAt = at;
    this.span?.firstChunk();
  }

  /** Shows the post hook how the call will end. @internal */
  decide(outcome: CallOutcome, failure: Failure | null, error: unknown, at: number): void {
    this.#outcome = outcome;
    this.#failure = failure;
    this.#decidedAt = at;
    this.#ending = error;
  }

  /** Goes on with another request; what travels beside its body stays unless it is named. @throws IModelError `invalid_request` @internal */
  replaceRequest(request: Fields): void {
    const { payload, transport, body, isCached } = this.#owner.prepare(
      this.isStreamed ? { ...request, stream: true } : request,
    );
    this.#payload = payload;
    this.#transport = { ...this.#transport, ...transport };
    this.request = body;
    this.isCached = isCached;
  }

  /** Takes on what another call, made for this one, would have sent. @internal */
  takeOver({ payload, transport, request, metadata, hooks, isCached }: ApiCalling): void {
    this.#payload = payload;
    this.#transport = transport;
    this.request = request;
    this.isCached = isCached;
    this.hooks = hooks;
    Object.assign(this.metadata, metadata);
  }

  /** Whether this iModel made it. @internal */
  isOwnedBy(owner: CallOwner): boolean {
    return this.#owner === owner;
  }

  /** Closes the record; runs once, within the dispatcher's final transition. @internal */
  end(failure: Failure | null, error: unknown, at: number): void {
    this.#failure = failure;
    this.#ending = null;
    if (this.#outcome !== null && this.status === 'failed') this.#outcome = 'failed';
    if (error !== null) {
      // What ended the call comes first; errors that were added on the way stay behind it.
      this.#errors = [error, ...(this.#errors ?? [])];
      if (IModelError.is(error)) error.call = this;
    }
    this.#endedAt = at;
    this.span?.end(this);
    const listeners = this.#listeners;
    this.#listeners = null;
    if (Array.isArray(listeners)) for (const listener of listeners) notify(listener, this);
    else if (listeners !== null) notify(listeners, this);
  }

  get #resultsSoFar(): AttemptResults {
    this.#results ??= new AttemptResults(this, this.#owner);
    return this.#results;
  }

  /** What came, as far as its reader may see it yet. */
  get #visible(): AttemptResults | null {
    return this.ended || this.#outcome !== null ? this.#results : null;
  }

  get #spending(): Spending {
    return this.#visible?.spending ?? nothingSpent;
  }

  get #view(): AnswerView {
    return this.#visible?.reply?.view ?? emptyView;
  }
}

/** A listener's fault must not reach the actor in whose transition it runs: it would end the model. */
function notify(listener: EndListener, call: ApiCalling): void {
  try {
    listener(call);
  } catch {
    // The listener was told; what it makes of it is its own affair.
  }
}

function instant(at: number | undefined): number | null {
  return at === undefined || at < 0 ? null : at;
}
