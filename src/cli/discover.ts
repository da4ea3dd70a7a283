import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { ModelState } from '../../schemas/state.ts';
import type { Bus, Message } from '../bus/bus.ts';
import { connect } from '../runtime/remote-model.ts';

/** Where every iModel on a bus says who it is, as a NATS service does. */
const infoSubject = '$SRV.INFO.imodel';

/** Answers are waited for until none has come for this long, in milliseconds. */
const quietMs = 250;

/** The longest wait, in milliseconds. */
const longestMs = 3_000;

/** What we read of a service's answer. */
const info = z.object({
  id: z.string(),
  endpoints: z.array(z.object({ subject: z.string() })),
});

/** One iModel, on however many nodes it is served. */
export interface Discovered {
  readonly id: string;
  readonly model: string;
  readonly status: string;
  readonly running: number;
  readonly waiting: number;
  /** How many processes answer for it. */
  readonly nodes: number;
}

/** The iModels that answer on a bus, by id. Each tells its state itself; with several nodes, the one that is first. */
export async function discover(
  bus: Bus,
  inboxPrefix: string,
  signal: AbortSignal,
): Promise<(Discovered & Record<string, string | number>)[]> {
  const nodes = new Map<string, Set<string>>();
  for (const message of await gather(bus, inboxPrefix, signal)) {
    const answer = info.safeParse(bodyOf(message));
    if (!answer.success) continue;
    for (const { subject } of answer.data.endpoints) {
      const [, id] = /^imodel\.([^.]+)\.invoke$/.exec(subject) ?? [];
      if (id !== undefined) nodes.set(id, (nodes.get(id) ?? new Set()).add(answer.data.id));
    }
  }
  const ids = [...nodes.keys()].sort();
  const states = await Promise.all(ids.map((id) => stateOf(bus, id)));
  return ids.map((id, index) => {
    const state = states[index];
    return {
      id,
      model: state ? `${state.provider}/${state.model}` : '',
      status: state?.mode ?? 'silent',
      running: state?.running ?? 0,
      waiting: state?.queue.waiting ?? 0,
      nodes: nodes.get(id)?.size ?? 0,
    };
  });
}

async function stateOf(bus: Bus, id: string): Promise<ModelState | null> {
  try {
    return await connect(bus).model(id).state();
  } catch {
    // It has gone since, or hangs; the list says so.
    return null;
  }
}

/** Sends one request and takes the answers of all who listen. */
async function gather(bus: Bus, inboxPrefix: string, signal: AbortSignal): Promise<readonly Message[]> {
  const replyTo = `${inboxPrefix}.${randomBytes(12).toString('base64url')}`;
  const answers: Message[] = [];
  let heard = (): void => {};
  const subscription = bus.subscribe(replyTo, (message) => {
    answers.push(message);
    heard();
  });
  try {
    bus.publish(infoSubject, {}, { replyTo });
    await bus.flush();
    await new Promise<void>((resolve) => {
      const last = setTimeout(resolve, longestMs);
      let quiet = setTimeout(resolve, quietMs);
      heard = () => {
        clearTimeout(quiet);
        quiet = setTimeout(resolve, quietMs);
      };
      signal.addEventListener('abort', () => resolve(), { once: true });
      last.unref();
    });
  } finally {
    subscription.close();
  }
  return answers;
}

function bodyOf(message: Message): unknown {
  try {
    return message.value();
  } catch {
    return null;
  }
}
