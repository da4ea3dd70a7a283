import { CallerGate, type CallerLimits } from '../../actors/caller-gate.ts';
import type { Clock } from '../../actors/clock.ts';
import type { CallerConfig } from '../../schemas/caller.ts';

/** Seconds in a day. */
const day = 86_400;

/** Requests that may wait for the limits of one caller. */
const defaultCapacity = 100;

/** A request that waits for the limits of its caller. It is no call of its iModel's yet. */
export interface HeldRequest {
  readonly modelId: string;
  readonly callId: string;
  /** Since when, in epoch milliseconds. */
  readonly heldAt: number;
  /** Takes it back. */
  leave(reason: unknown): void;
}

/** One who may call through the gateway. It stays the same when its settings change, and so does what it has used. */
export class Caller {
  readonly name: string;
  /** Its limits, with those who wait for them. */
  readonly gate: CallerGate;
  readonly #held = new Map<string, HeldRequest>();
  #config: CallerConfig;
  #patterns: readonly RegExp[] | null;

  constructor(name: string, config: CallerConfig, clock: Clock) {
    this.name = name;
    this.#config = config;
    this.#patterns = patternsOf(config);
    this.gate = new CallerGate(name, limitsOf(config), clock);
  }

  get config(): CallerConfig {
    return this.#config;
  }

  set config(config: CallerConfig) {
    this.#config = config;
    this.#patterns = patternsOf(config);
    this.gate.limits = limitsOf(config);
  }

  /** Its requests that wait at the gate, in the order of their coming. */
  get held(): Iterable<HeldRequest> {
    return this.#held.values();
  }

  /** The request that waits at the gate for a call, if it does. */
  heldFor(modelId: string, callId: string): HeldRequest | undefined {
    return this.#held.get(`${modelId}/${callId}`);
  }

  /** Notes that a request waits at the gate. @returns To be called when it waits no more. */
  hold(request: HeldRequest): () => void {
    const name = `${request.modelId}/${request.callId}`;
    this.#held.set(name, request);
    return () => this.#held.delete(name);
  }

  /** Whether it may see and control the iModels. */
  get isOperator(): boolean {
    return this.#config.operator === true;
  }

  /** Whether it may use an iModel. */
  mayUse(modelId: string): boolean {
    return this.#patterns === null || this.#patterns.some((pattern) => pattern.test(modelId));
  }

  /** Why its keys are refused at an instant; null when they are taken. */
  refusedAt(now: number): 'disabled' | 'expired' | null {
    const { disabled, expires } = this.#config;
    if (disabled === true) return 'disabled';
    return expires !== undefined && now >= Date.parse(expires) ? 'expired' : null;
  }
}

function patternsOf({ models }: CallerConfig): readonly RegExp[] | null {
  // Ids have no characters that mean something in a pattern, and are too short for one to take long.
  return models?.map((pattern) => new RegExp(`^${pattern.replace(/\*+/g, '.*')}$`)) ?? null;
}

function limitsOf(config: CallerConfig): CallerLimits {
  const { limitRequests, limitTokens, limitCostUsd, concurrencyLimit, queueCapacity } = config;
  return {
    requests: limitRequests ?? null,
    tokens: limitTokens ?? null,
    costMicros: limitCostUsd === undefined ? null : Math.max(1, Math.round(limitCostUsd * 1_000_000)),
    concurrency: concurrencyLimit ?? null,
    windowMs: (config.interval ?? 60) * 1_000,
    costWindowMs: (config.costInterval ?? day) * 1_000,
    queueCapacity: queueCapacity ?? defaultCapacity,
  };
}
