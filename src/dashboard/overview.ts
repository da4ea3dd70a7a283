import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { modelEvent } from '../../schemas/event.ts';
import { nodeState } from '../../schemas/state.ts';
import type { Bus, Message, Subscription } from '../bus/bus.ts';
import { subjects } from '../bus/subjects.ts';
import type { HeldCall } from '../callers/caller-book.ts';
import { CallTable } from './call-table.ts';
import type { Frame, SeenModel } from './frame.ts';
import { Timeline } from './timeline.ts';

/** Where every iModel on a bus says who it is, as a NATS service does. */
const infoSubject = '$SRV.INFO.imodel';

/** How often the iModels are looked for, in milliseconds. */
const discoverMs = 2_000;

/** How often an iModel is asked while it has calls or something happens to it, in milliseconds. */
const busyMs = 250;

/** How often it is asked while nothing is heard of it, in milliseconds. */
const quietMs = 1_000;

/** An iModel that has not answered for so long is gone, in milliseconds. */
const goneMs = 5_000;

/** How many calls an iModel is asked for. */
const askedCalls = 200;

/** Ids that are watched at most: what is not an iModel can claim to be one. */
const maxIds = 500;

/** What we read of a service's answer. */
const serviceInfo = z.object({ endpoints: z.array(z.object({ subject: z.string() })) });

/** An overview's options. */
export interface OverviewOptions {
  /** Where replies arrive. @defaultValue '_INBOX' */
  readonly inboxPrefix?: string | undefined;
  /** Asks for the requests that wait for the limits of their callers, which no bus tells of. @defaultValue there are none */
  readonly held?: () => readonly HeldCall[];
  /** Told when there is something for {@link Overview.take}; often. */
  readonly onChange?: () => void;
}

/** One id, on however many nodes. */
interface Watched {
  askedAt: number;
  /** Whether it is to be asked soon. */
  isStale: boolean;
}

/**
 * What all iModels of a bus are doing: it hears their events, finds out who is there, and asks them for their state, more often while
 * something happens. What it holds is bounded, and costs the iModels nothing once it is closed.
 */
export class Overview {
  readonly #bus: Bus;
  readonly #onChange: () => void;
  readonly #held: () => readonly HeldCall[];
  readonly #inbox: string;
  readonly #subscriptions: readonly Subscription[];
  readonly #timer: NodeJS.Timeout;
  readonly #ids = new Map<string, Watched>();
  readonly #models = new Map<string, SeenModel>();
  readonly #heardAt = new Map<string, number>();
  readonly #changed = new Set<string>();
  readonly #gone = new Set<string>();
  readonly #calls = new CallTable();
  readonly #timeline = new Timeline();
  #discoveredAt = Number.NEGATIVE_INFINITY;
  #isAsking = true;

  /** Begins at once. @param bus - Stays the caller's to close. */
  constructor(bus: Bus, { inboxPrefix = '_INBOX', held = () => [], onChange = () => {} }: OverviewOptions = {}) {
    this.#bus = bus;
    this.#onChange = onChange;
    this.#held = held;
    this.#inbox = `${inboxPrefix}.${randomBytes(12).toString('base64url')}`;
    this.#subscriptions = [
      this.#hear(subjects.everyEvent(), (value) => this.#event(value)),
      this.#hear(`${this.#inbox}.info`, (value) => this.#info(value)),
      this.#hear(`${this.#inbox}.state`, (value) => this.#state(value)),
    ];
    this.#timer = setInterval(() => this.#ask(), busyMs);
    this.#timer.unref();
    this.#ask();
  }

  /** The iModels that answer, by id. */
  get models(): SeenModel[] {
    return [...this.#models.values()].sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  /** Whether iModels are asked for their state. Events are heard all the same. */
  set isAsking(isAsking: boolean) {
    this.#isAsking = isAsking;
    if (!isAsking) return;
    // Who was not asked had no reason to speak.
    for (const key of this.#heardAt.keys()) this.#heardAt.set(key, Date.now());
    this.#ask();
  }

  /** Everything that is known. */
  whole(): Frame {
    return {
      at: Date.now(),
      whole: true,
      models: this.models,
      gone: [],
      calls: [...this.#calls],
      removed: [],
      timeline: [...this.#timeline],
    };
  }

  /** What has changed since it was last taken; null when nothing has. */
  take(): Frame | null {
    const models = [...this.#changed].flatMap((key) => this.#models.get(key) ?? []);
    const gone = [...this.#gone];
    this.#changed.clear();
    this.#gone.clear();
    const timeline = this.#timeline.take();
    const { calls, removed } = this.#calls.take();
    if (models.length + gone.length + calls.length + removed.length + timeline.length === 0) return null;
    return { at: Date.now(), whole: false, models, gone, calls, removed, timeline };
  }

  /** Lets go of the bus. */
  close(): void {
    clearInterval(this.#timer);
    for (const subscription of this.#subscriptions) subscription.close();
  }

  /** Whatever arrives may be anything: what cannot be read is passed over. */
  #hear(subject: string, take: (value: unknown) => void): Subscription {
    return this.#bus.subscribe(subject, (message: Message) => {
      let value: unknown;
      try {
        value = message.value();
      } catch {
        return;
      }
      take(value);
    });
  }

  #event(value: unknown): void {
    const { data: event } = modelEvent.safeParse(value);
    if (event === undefined) return;
    const watched = this.#watch(event.model_id);
    if (watched === undefined) return;
    watched.isStale = true;
    this.#calls.note(event);
    this.#timeline.note(event);
    this.#onChange();
  }

  #info(value: unknown): void {
    const { data: info } = serviceInfo.safeParse(value);
    for (const { subject } of info?.endpoints ?? []) {
      const [, id] = /^imodel\.([^.]+)\.invoke$/.exec(subject) ?? [];
      if (id !== undefined) this.#watch(id);
    }
  }

  #state(value: unknown): void {
    const { data: answer } = nodeState.safeParse(value);
    const watched = answer === undefined ? undefined : this.#watch(answer.id);
    if (answer === undefined || watched === undefined) return;
    // Chunks come without events.
    if (answer.running + answer.queue.waiting > 0) watched.isStale = true;
    const { calls, ...state } = answer;
    const now = Date.now();
    const key = `${answer.id}@${answer.node}`;
    this.#models.set(key, { ...this.#models.get(key), key, state });
    this.#heardAt.set(key, now);
    this.#gone.delete(key);
    this.#changed.add(key);
    this.#calls.list(answer, (calls?.length ?? 0) < askedCalls, now);
    this.#onChange();
  }

  /** Undefined when there are too many already, or it is no id. */
  #watch(id: string): Watched | undefined {
    const known = this.#ids.get(id);
    if (known !== undefined || this.#ids.size >= maxIds || !/^[\w-]{1,64}$/.test(id)) return known;
    const watched = { askedAt: Number.NEGATIVE_INFINITY, isStale: true };
    this.#ids.set(id, watched);
    return watched;
  }

  #ask(): void {
    if (!this.#isAsking) return;
    const now = Date.now();
    if (now - this.#discoveredAt >= discoverMs) {
      this.#discoveredAt = now;
      this.#publish(infoSubject, {}, 'info');
      // Those that are new answer a moment later: they need not wait for the next round.
      void this.#bus.flush().then(
        () => this.#askStates(),
        () => {},
      );
    }
    this.#forgetSilent(now);
    this.#askStates();
    this.#hold(this.#held());
  }

  /** Of several processes that serve an id, the first shows what is held: it is nobody's yet. */
  #hold(held: readonly HeldCall[]): void {
    this.#calls.hold(held);
    const counts = new Map<string, number>();
    for (const { model } of held) counts.set(model, (counts.get(model) ?? 0) + 1);
    for (const model of this.models) {
      const count = counts.get(model.state.id) ?? 0;
      counts.delete(model.state.id);
      if (count === (model.held ?? 0)) continue;
      this.#models.set(model.key, { ...model, held: count });
      this.#changed.add(model.key);
    }
    this.#onChange();
  }

  #askStates(): void {
    const now = Date.now();
    for (const [id, watched] of this.#ids) {
      if (now - watched.askedAt < (watched.isStale ? busyMs - 10 : quietMs)) continue;
      watched.askedAt = now;
      watched.isStale = false;
      this.#publish(subjects.state(id), { calls: askedCalls }, 'state');
    }
  }

  #publish(subject: string, body: unknown, reply: string): void {
    try {
      this.#bus.publish(subject, body, { replyTo: `${this.#inbox}.${reply}` });
    } catch {
      // The connection is away: they are asked again when it is back.
    }
  }

  #forgetSilent(now: number): void {
    for (const [key, { state }] of this.#models) {
      if (now - (this.#heardAt.get(key) ?? 0) < goneMs) continue;
      this.#models.delete(key);
      this.#heardAt.delete(key);
      this.#gone.add(key);
      this.#calls.drop(state.id, state.node);
      if (![...this.#models.values()].some((other) => other.state.id === state.id)) {
        this.#ids.delete(state.id);
        this.#timeline.drop(state.id);
      }
      this.#onChange();
    }
  }
}
