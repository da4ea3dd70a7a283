import { bytesFromWire } from '../../../schemas/bytes.ts';
import { type CallStatus, viewFromWire, type WireCall } from '../../../schemas/call.ts';
import type { AnswerView, FinishReason, ToolUse, Usage } from '../../../schemas/chunk.ts';
import type { Failure } from '../../../schemas/failure.ts';
import { IModelError } from '../../errors.ts';

/** A call that ran elsewhere, as it ended: the same properties as a local call's. */
export class RemoteCall {
  /** The call's id. */
  readonly id: string;
  /** Epoch seconds. */
  readonly createdAt: number;
  /** How it ended. */
  readonly status: CallStatus;
  /** The vendor's body, untouched. */
  readonly response: unknown;
  /** Seconds from dispatch to end; null when it never started. */
  readonly duration: number | null;
  readonly failure: Failure | null;
  readonly error: IModelError | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  #view: AnswerView | null = null;
  readonly #wire: WireCall;

  /** @internal */
  constructor(wire: WireCall) {
    this.#wire = wire;
    this.id = wire.id;
    this.createdAt = wire.created_at;
    this.status = wire.execution.status;
    this.response = bytesFromWire(wire.execution.response);
    this.duration = wire.execution.duration;
    this.metadata = wire.metadata;
    this.failure = wire.failure;
    this.error = wire.failure === null ? null : new IModelError(wire.failure);
    if (this.error !== null) this.error.call = this;
  }

  /** The call as it came over the bus. */
  toWire(): WireCall {
    return this.#wire;
  }

  get text(): string {
    return this.#answer.text;
  }

  get thinking(): string {
    return this.#answer.thinking;
  }

  get toolUses(): readonly ToolUse[] {
    return this.#answer.toolUses;
  }

  get finishReason(): FinishReason | null {
    return this.#answer.finishReason;
  }

  get usage(): Usage | null {
    return this.#answer.usage;
  }

  /** What it cost in US dollars, by the prices of its iModel; null when that is not known there. */
  get cost(): number | null {
    const { cost_usd: cost } = this.metadata;
    return typeof cost === 'number' ? cost : null;
  }

  get #answer(): AnswerView {
    this.#view ??= viewFromWire(this.#wire);
    return this.#view;
  }
}
