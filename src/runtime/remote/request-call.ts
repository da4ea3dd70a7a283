import type { Bus, Message, RequestOptions } from '../../bus/bus.ts';
import { IModelError } from '../../errors.ts';

/** After a reconnect a host may be back a little later than its caller: so long nobody answering means nothing. In milliseconds. */
const returnMs = 10_000;

/** How long a server that shuts down takes to send its connections elsewhere one by one, unless configured otherwise. In milliseconds. */
const lameDuckMs = 120_000;

/** How long to wait between two tries, in milliseconds. */
const pauseMs = 100;

/** Sends a request, and hears how it ended. */
export interface Requester {
  /** When it began, on the clock of `performance`. */
  readonly startedAt: number;
  replied(message: Message): void;
  /** `no_responder` only when the host is not back some time after the connection was. */
  failed(error: unknown): void;
}

/** What is asked, and of whom. */
export interface CallQuestion {
  readonly bus: Bus;
  readonly subject: string;
  readonly payload: unknown;
  readonly options: RequestOptions & { readonly idempotent: true };
}

/** Sends the request of a call. It may reach its host twice, so it must be named by a call id or by its token. */
export function requestCall(question: CallQuestion, requester: Requester): void {
  const breaks = breaksOf(question.bus);
  send(question, question.options, { requester, breaks, count: breaks.count });
}

/** Who asks, and what had become of the connection by then. */
interface Asked {
  readonly requester: Requester;
  readonly breaks: Breaks;
  readonly count: number;
}

function send(question: CallQuestion, left: RequestOptions, asked: Asked): void {
  const { bus, subject, payload } = question;
  bus.request(subject, payload, left).then(
    (message) => asked.requester.replied(message),
    (error: unknown) => {
      const endsAt = endOf(question, asked);
      if (mayReturn(error, endsAt, asked)) setTimeout(() => send(question, withTime(left, endsAt), asked), pauseMs);
      else asked.requester.failed(error);
    },
  );
}

/** Whether its host may be there again soon. */
function mayReturn(error: unknown, endsAt: number, { requester, breaks, count }: Asked): boolean {
  const now = performance.now();
  if (!IModelError.is(error) || error.code !== 'no_responder' || now > endsAt) return false;
  if (breaks.count !== count && now <= breaks.healedAt + returnMs) return true;
  return now <= breaks.movingUntil && now <= requester.startedAt + returnMs;
}

/** When its time is up, on the clock of `performance`. */
function endOf({ options: { timeoutMs } }: CallQuestion, { requester: { startedAt } }: Asked): number {
  return timeoutMs === undefined ? Number.POSITIVE_INFINITY : startedAt + timeoutMs;
}

/** The same request with the time it has left. */
function withTime(options: RequestOptions, endsAt: number): RequestOptions {
  return endsAt === Number.POSITIVE_INFINITY
    ? options
    : { ...options, timeoutMs: Math.max(1, endsAt - performance.now()) };
}

/** How often a bus has lost its connection. */
interface Breaks {
  count: number;
  /** When the connection was there again, on the clock of `performance`. */
  healedAt: number;
  /** Until when hosts may be on their way from a server that shuts down to another. */
  movingUntil: number;
}

const known = new WeakMap<Bus, Breaks>();

function breaksOf(bus: Bus): Breaks {
  let breaks = known.get(bus);
  if (breaks === undefined) {
    breaks = { count: 0, healedAt: 0, movingUntil: 0 };
    known.set(bus, breaks);
    void follow(bus.status, breaks);
  }
  return breaks;
}

/** Ends with the bus. */
async function follow(statuses: AsyncIterable<{ readonly type: string }>, breaks: Breaks): Promise<void> {
  for await (const { type } of statuses) {
    if (type === 'disconnected') breaks.count += 1;
    if (type === 'connected') breaks.healedAt = performance.now();
    if (type === 'lame_duck') breaks.movingUntil = performance.now() + lameDuckMs;
  }
}
