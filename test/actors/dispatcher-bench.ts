import { expect } from 'vitest';
import { createActor, fromTransition } from 'xstate';
import { statusOf } from '../../actors/call.ts';
import { CallRow, type CallRowInput } from '../../actors/call-row.ts';
import type { DispatcherEvent } from '../../actors/dispatcher-events.ts';
import type { DispatcherLimits, ResiliencePolicy } from '../../actors/dispatcher-input.ts';
import { dispatcherLogic } from '../../actors/dispatcher-logic.ts';
import type { DispatcherView } from '../../actors/dispatcher-view.ts';
import type { WindowLimits } from '../../actors/policy/window.ts';
import { type Failure, type FailureOf, failureOf, failure as failureSchema } from '../../schemas/failure.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

/** Limits that a test cares about; the rest is no limit. */
export type Settings = Partial<Omit<DispatcherLimits, 'window'>> & { readonly window?: Partial<WindowLimits> };

/** Fills in what a test leaves open. */
export function limitsOf({ window, ...limits }: Settings): DispatcherLimits {
  return {
    queueCapacity: 100,
    onFull: 'wait',
    concurrency: null,
    ...limits,
    window: { requests: null, tokens: null, lengthMs: 1_000, marginMs: 0, ...window },
  };
}

/** A dispatcher with an endpoint that does nothing by itself: requests are written at once, and end when the test says so. */
export class DispatcherBench {
  readonly clock = new VirtualClock();
  /** Effects in their order: `start a`, `stop a`, `end a completed`. */
  readonly effects: string[] = [];
  /** Tokens that calls need, by id. */
  estimates: Readonly<Record<string, number>> = {};
  /** Whether somebody carries on what has failed. */
  rescues = false;
  readonly edges: string[] = [];
  readonly starts: [id: string, at: number][] = [];
  readonly failures = new Map<string, Failure | null>();
  /** Whether `call.sent` follows `start` at once. */
  writes = true;
  readonly #rows = new Map<string, CallRow>();
  readonly #actor;

  constructor(settings: Settings = {}, open = true, resilience: ResiliencePolicy = { retry: null, breaker: null }) {
    const machine = createActor(
      fromTransition((state: null, event: { type: string }) => {
        this.edges.push(event.type);
        return state;
      }, null),
    ).start();
    this.#actor = createActor(dispatcherLogic, {
      input: {
        limits: limitsOf(settings),
        clock: this.clock,
        resilience,
        random: () => 0.5,
        machine,
        effects: {
          start: (row) => {
            this.effects.push(`start ${row.id}`);
            this.starts.push([row.id, this.clock.now()]);
            if (this.writes) this.send({ type: 'call.sent', row });
          },
          estimate: (row) => this.estimates[row.id] ?? 0,
          stop: (row) => this.effects.push(`stop ${row.id}`),
          retrying: (row, _failure, delayMs) => this.effects.push(`retry ${row.id} in ${delayMs}`),
          rescue: (row) => this.rescues && this.effects.push(`rescue ${row.id}`) > 0,
          ended: (row, failure) => {
            this.effects.push(`end ${row.id} ${statusOf(row.state)}`);
            if (this.failures.has(row.id)) throw new Error(`${row.id} has ended twice`);
            this.failures.set(row.id, failure);
          },
        },
      },
    }).start();
    if (open) this.send({ type: 'gate.open' });
  }

  send(event: DispatcherEvent): void {
    this.#actor.send(event);
    expect(this.clock.timers).toBeLessThanOrEqual(1);
  }

  submit(id: string, options: Omit<CallRowInput, 'id'> = {}): CallRow {
    const row = new CallRow({ id, ...options });
    this.#rows.set(id, row);
    this.send({ type: 'call.submit', row });
    return row;
  }

  settle(id: string, tokens: number | null = null, failure: Failure | null = null): void {
    this.send({ type: 'call.settle', row: this.row(id), failure, tokens });
  }

  end(id: string, failure: Failure = failureOf('cancelled', 'The test cancels', {})): void {
    this.send({ type: 'call.end', row: this.row(id), failure });
  }

  row(id: string): CallRow {
    const row = this.#rows.get(id);
    if (row === undefined) throw new Error(`${id} was never submitted`);
    return row;
  }

  status(id: string): string {
    return statusOf(this.row(id).state);
  }

  failure<C extends Failure['code']>(id: string, code: C): FailureOf<C> {
    const failure = this.failures.get(id);
    expect(failure).toMatchObject({ code });
    failureSchema.parse(failure);
    return failure as FailureOf<C>;
  }

  /** Moves on in steps, so that the number of timers is checked on the way. */
  advance(ms: number): void {
    this.clock.advanceSync(ms);
    expect(this.clock.timers).toBeLessThanOrEqual(1);
  }

  get view(): DispatcherView {
    return this.#actor.getSnapshot().dispatcher.view();
  }

  get live(): string[] {
    return [...this.#actor.getSnapshot().dispatcher.rows()].map(({ id }) => id);
  }

  /** Nothing waits, nothing runs, no timer is set. */
  expectEmpty(): void {
    expect(this.view).toMatchObject({ waiting: 0, outside: 0, running: 0, blocked: null });
    expect(this.live).toEqual([]);
    expect(this.clock.timers).toBe(0);
  }
}
