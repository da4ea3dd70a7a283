import { randomUUID } from 'node:crypto';
import type { Clock } from '../../actors/clock.ts';
import type { CallStatus } from '../../schemas/call.ts';
import type { HookEventDict, HookPoint, HookReport } from '../../schemas/hook.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError } from '../errors.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import { type CallClass, type HookContext, hookTimeouts } from './hook.ts';

/** What a hook's run is made from. */
export interface HookEventOptions {
  readonly point: HookPoint;
  readonly hook: (subject: never, context: HookContext) => unknown;
  /** The call; before it exists, its class. */
  readonly subject: ApiCalling | CallClass;
  /** Whether a failure ends the call. @defaultValue false */
  readonly exit?: boolean | null | undefined;
  /** Seconds. @defaultValue 10 before creation, 30 before and after invocation */
  readonly timeout?: number | null | undefined;
  readonly params?: Fields | null | undefined;
  readonly clock: Clock;
  /** Ends the waiting; the hook's own signal aborts with it. */
  readonly stop?: AbortSignal | undefined;
}

/** How one run of a hook ended. */
type HookStatus = HookReport['status'];

/** What a throw means at each point. */
const thrownStatus = {
  pre_event_create: 'cancelled',
  pre_invocation: 'cancelled',
  post_invocation: 'aborted',
} as const satisfies Record<HookPoint, HookStatus>;

/**
 * One run of one hook. It takes its time, catches what the hook throws, and can be written down.
 *
 * A promise that is late is not waited for, and its signal aborts. A hook that returns no promise cannot be interrupted: it counts as done,
 * and `overran` says that it took too long. Running it again runs the hook again.
 */
export class HookEvent {
  readonly id = randomUUID();
  /** Epoch seconds. */
  readonly createdAt: number;
  readonly point: HookPoint;
  /** Whether a failure of the hook is to end the call. */
  readonly exit: boolean;
  /** What the hook returned. Data: even an error is no failure. */
  response: unknown = null;
  /** What went wrong; null when nothing did. */
  error: unknown = null;
  /** Seconds; null before the end. */
  duration: number | null = null;
  overran = false;
  readonly #options: HookEventOptions;
  readonly #timeoutMs: number;
  #status: CallStatus = 'pending';
  /** Set when its time was up. */
  #late: IModelError | null = null;
  /** The call, once there is one. */
  #call: ApiCalling | null;

  constructor(options: HookEventOptions) {
    this.#options = options;
    this.point = options.point;
    this.exit = options.exit ?? false;
    this.#timeoutMs = (options.timeout ?? hookTimeouts[options.point]) * 1_000;
    this.createdAt = options.clock.now() / 1_000;
    this.#call = typeof options.subject === 'function' ? null : options.subject;
  }

  get status(): CallStatus {
    return this.#status;
  }

  /** True after a failure that ends the call: the hook was told to, or threw a cancellation. */
  get shouldExit(): boolean {
    return this.error !== null && (this.exit || isCancellation(this.error));
  }

  /** What observers are told. */
  get report(): HookReport {
    return {
      name: this.point,
      status: this.#status as HookStatus,
      duration_ms: (this.duration ?? 0) * 1_000,
      ...(this.overran ? { overran: true } : {}),
      ...(this.shouldExit ? { exit: true } : {}),
    };
  }

  /** Names the call that a pre-create hook ran for. */
  belongsTo(call: ApiCalling): void {
    this.#call = call;
  }

  /** Runs the hook. Never rejects: what went wrong is in `error`. */
  async invoke(): Promise<void> {
    const { clock, hook, subject, params, stop } = this.#options;
    this.#status = 'processing';
    this.error = null;
    const startedAt = clock.now();
    const controller = new AbortController();
    const context: HookContext = { ...params, exit: this.exit, signal: controller.signal };
    try {
      // The registry keeps hooks by point, so that subject and hook fit.
      const returned = hook(subject as never, context);
      if (isPromise(returned)) this.response = await this.#within(returned, controller, stop);
      else {
        this.response = returned;
        this.overran = clock.now() - startedAt > this.#timeoutMs;
      }
      this.#status = 'completed';
    } catch (error) {
      this.error = error ?? new Error(`The hook ${this.point} threw ${String(error)}`);
      if (error === this.#late) this.#status = 'failed';
      else this.#status = isCancellation(error) ? 'cancelled' : thrownStatus[this.point];
    }
    this.duration = (clock.now() - startedAt) / 1_000;
  }

  /** The run as plain data, with exactly the reference's keys. */
  toDict(): HookEventDict {
    const info = {
      lion_class: 'imodel.ApiCalling',
      ...(this.#call === null ? {} : { event_id: this.#call.id, event_created_at: this.#call.createdAt }),
    };
    const { response, error, duration } = this;
    return {
      id: this.id,
      created_at: this.createdAt,
      metadata: { ...info, lion_class: 'imodel.HookEvent' },
      execution: {
        status: this.#status,
        duration,
        response: written(response),
        error: error === null ? null : error instanceof Error ? error.message : String(error),
        retryable: null,
      },
      hook_type: this.point,
      associated_event_info: info,
    };
  }

  #within(promise: PromiseLike<unknown>, controller: AbortController, stop: AbortSignal | undefined): Promise<unknown> {
    const { clock } = this.#options;
    return new Promise((resolve, reject) => {
      const give = (reason: unknown): void => {
        leave();
        reject(reason);
        controller.abort(reason);
      };
      const timer = clock.setTimeout(() => {
        this.#late = timeoutOf(this.point, this.#timeoutMs);
        give(this.#late);
      }, this.#timeoutMs);
      const stopped = (): void => give(stop?.reason);
      const leave = (): void => {
        clock.clearTimeout(timer);
        stop?.removeEventListener('abort', stopped);
      };
      promise.then(
        (value) => {
          leave();
          resolve(value);
        },
        (error: unknown) => {
          leave();
          reject(error);
        },
      );
      if (stop?.aborted === true) stopped();
      else stop?.addEventListener('abort', stopped, { once: true });
    });
  }
}

/** A throw that means: take the call back. */
export function isCancellation(error: unknown): boolean {
  if (IModelError.is(error)) return error.code === 'cancelled';
  return error instanceof Error && error.name === 'AbortError';
}

function timeoutOf(point: HookPoint, timeoutMs: number): IModelError {
  const message = `The hook ${point} took longer than its ${timeoutMs / 1_000} s`;
  return IModelError.of('timed_out', message, { phase: 'hook', timeoutMs });
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** What a hook returned as JSON can hold it. */
function written(value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value) ?? 'null');
  } catch {
    return '<unserializable>';
  }
}
