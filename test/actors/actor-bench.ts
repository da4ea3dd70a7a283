import fc from 'fast-check';
import { createActor } from 'xstate';
import { restoreActor, writeActor } from '../../actors/actor-state.ts';
import { isRunning, statusOf } from '../../actors/call.ts';
import { CallRow } from '../../actors/call-row.ts';
import type { Dispatcher } from '../../actors/dispatcher.ts';
import type { DispatcherEvent } from '../../actors/dispatcher-events.ts';
import { type ModelRegions, modelMachine } from '../../actors/imodel.ts';
import { type OwnerEvent, Recorder } from '../../actors/recorder.ts';
import { failureOf } from '../../schemas/failure.ts';
import type { JournalEntry } from '../../schemas/journal.ts';
import { type ActorState, actorState } from '../../schemas/live-state.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { limitsOf, type Settings } from './dispatcher-bench.ts';

const retry = {
  maxRetries: 2,
  baseDelayMs: 100,
  maxDelayMs: 1_000,
  backoffFactor: 2,
  jitterFactor: 0.5,
  excludeCodes: [],
};
const breaker = { failureThreshold: 2, recoveryMs: 700, halfOpenMaxCalls: 1, excludeCodes: [] };
const unavailable = failureOf('unavailable', 'The vendor is down', {});
const rateLimited = failureOf('rate_limited', 'The vendor says wait', { retryAfterMs: 300 });

/** A whole actor whose endpoint does nothing by itself. */
export class ActorBench {
  readonly clock: VirtualClock;
  readonly effects: string[] = [];
  /** What was written down, and what the dispatcher's state was right after each entry. */
  readonly entries: JournalEntry[] = [];
  readonly states = new Map<number, string>();
  /** The regions, after the entries at which everything had come to rest. */
  readonly regionsAt = new Map<number, ModelRegions>();
  readonly #recorder: Recorder;
  readonly #actor;
  readonly #rows = new Map<string, CallRow>();
  readonly #settings: Settings;

  constructor(settings: Settings, startAt = 1_000_000, state?: ActorState) {
    this.clock = new VirtualClock(startAt);
    this.#settings = settings;
    this.#recorder = new Recorder({
      recorded: () => {
        const { tape } = this.#recorder;
        const entry = tape.entry(tape.length - 1);
        this.entries.push(entry);
        if (entry.type !== 'snapshot') this.states.set(entry.seq, JSON.stringify(this.dispatcher.write()));
      },
      turned: () => {},
    });
    const note = (text: string): number => this.effects.push(`${this.clock.now()} ${text}`);
    this.#actor = createActor(modelMachine, {
      clock: this.clock,
      input: {
        limits: limitsOf(settings),
        resilience: { retry, breaker },
        clock: this.clock,
        // By the clock, so that an actor that goes on from another draws the same.
        random: () => (this.clock.now() * 0.37) % 1,
        journal: this.#recorder,
        effects: {
          start: (row) => note(`start ${row.id} ${row.attempts}`),
          stop: (row) => note(`stop ${row.id}`),
          retrying: (row, _failure, delayMs) => note(`retry ${row.id} ${delayMs}`),
          rescue: (row) => row.id.endsWith('7'),
          ended: (row, failure) => note(`end ${row.id} ${statusOf(row.state)} ${failure?.code}`),
        },
      },
    }).start();
    this.snapshot();
    if (state === undefined) this.machine('model.start');
    else for (const row of restoreActor(this.#actor, state)) this.#rows.set(row.id, row);
  }

  get dispatcher(): Dispatcher {
    const child = this.#actor.getSnapshot().children.dispatcher;
    if (child === undefined) throw new Error('The machine has no dispatcher');
    return child.getSnapshot().dispatcher;
  }

  get regions() {
    return this.#actor.getSnapshot().value;
  }

  /** Lets a replay begin here. */
  snapshot(): void {
    this.#recorder.snapshot(
      {
        modelId: 'bench',
        limits: limitsOf(this.#settings),
        resilience: { retry, breaker },
        state: this.write(),
        rows: this.rows(),
      },
      this.clock.now(),
    );
  }

  /** To be called where nothing is going on. */
  rest(): void {
    this.regionsAt.set(this.#recorder.seq, this.regions);
  }

  machine(type: OwnerEvent['type']): void {
    this.#recorder.tell({ type }, this.clock.now());
    this.#actor.send({ type });
  }

  send(event: DispatcherEvent): void {
    this.#actor.getSnapshot().children.dispatcher?.send(event);
  }

  submit(row: CallRow): void {
    this.#rows.set(row.id, row);
    this.send({ type: 'call.submit', row });
  }

  rows(which: (row: CallRow) => boolean = () => true): CallRow[] {
    return [...this.dispatcher.rows()].filter(which);
  }

  write(): ActorState {
    return writeActor(this.regions.life, this.dispatcher);
  }

  /** Another actor that goes on from what JSON keeps of this one. */
  restored(settings: Settings): ActorBench {
    return new ActorBench(settings, this.clock.now(), actorState.parse(JSON.parse(JSON.stringify(this.write()))));
  }
}

export const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('submit' as const), by: fc.nat(2), tokens: fc.nat(12), wait: fc.nat(3) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('sent' as const), pick: fc.nat(50) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('answer' as const), pick: fc.nat(50) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('settle' as const), pick: fc.nat(50), how: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('end' as const), pick: fc.nat(50) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.nat(700) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('model.pause' as const, 'model.resume' as const) }) },
);
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

export const settings = fc.record({
  queueCapacity: fc.integer({ min: 1, max: 5 }),
  concurrency: fc.option(fc.integer({ min: 1, max: 3 })),
  onFull: fc.constantFrom('wait' as const, 'reject' as const),
  window: fc.record({
    requests: fc.option(fc.integer({ min: 1, max: 3 })),
    tokens: fc.option(fc.integer({ min: 12, max: 30 })),
    marginMs: fc.constantFrom(0, 20),
  }),
});

export function act(bench: ActorBench, event: Step, index: number): void {
  const pick = (rows: readonly CallRow[], n: number): CallRow | undefined => rows[n % Math.max(1, rows.length)];
  switch (event.do) {
    case 'submit': {
      const now = bench.clock.now();
      bench.submit(
        new CallRow({
          id: `c${index}`,
          caller: String(event.by),
          priority: event.by % 2,
          weight: 1 + (event.tokens % 3),
          tokens: event.tokens,
          streaming: event.wait === 3,
          ...(event.wait === 1 ? { deadlineAt: now + 900 } : {}),
          ...(event.wait === 2 ? { queueDeadlineAt: now + 300 } : {}),
        }),
      );
      break;
    }
    case 'sent':
    case 'answer': {
      const row = pick(
        bench.rows(({ state }) => isRunning(state)),
        event.pick,
      );
      if (row !== undefined) bench.send({ type: `call.${event.do}`, row });
      break;
    }
    case 'settle': {
      const row = pick(
        bench.rows(({ state, run }) => isRunning(state) && run?.retry === null),
        event.pick,
      );
      const failure = [null, null, unavailable, rateLimited][event.how] ?? null;
      if (row !== undefined) bench.send({ type: 'call.settle', row, failure, tokens: event.pick % 20 });
      break;
    }
    case 'end': {
      const row = pick(bench.rows(), event.pick);
      if (row !== undefined) bench.send({ type: 'call.end', row, failure: failureOf('cancelled', 'Taken back', {}) });
      break;
    }
    case 'advance':
      bench.clock.advanceSync(event.ms);
      break;
    default:
      bench.machine(event.do);
  }
}
