import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Bus, Message } from '../../bus/bus.ts';

/** Where every iModel on a bus says who it is, as a NATS service does. */
const infoSubject = '$SRV.INFO.imodel';

/** Answers are waited for until none has come for this long, in milliseconds. */
const quietMs = 250;

/** The longest wait, in milliseconds. */
const longestMs = 3_000;

/** What we read of a service's answer. */
const info = z.object({
  id: z.string(),
  metadata: z
    .object({
      provider: z.string().default(''),
      model: z.string().default(''),
      protocol: z.string().default(''),
      agent: z.string().optional(),
    })
    .prefault({}),
  endpoints: z.array(
    z.object({
      subject: z.string(),
      metadata: z.object({ request_fields: z.string().optional() }).nullish(),
    }),
  ),
});

/** An iModel that answers on a bus, as it says itself. */
export interface DiscoveredModel {
  readonly id: string;
  readonly provider: string;
  /** The vendor's name of the model; empty when none is set. */
  readonly model: string;
  /** The path or protocol of its endpoint, such as `chat/completions`. */
  readonly protocol: string;
  readonly isAgent: boolean;
  /** Names of the fields a request may hold; null when any may. */
  readonly fields: readonly string[] | null;
  /** The processes that answer for it. */
  readonly nodes: ReadonlySet<string>;
}

/** How a bus is asked. */
export interface DiscoverOptions {
  /** Where the answers arrive, if not at the usual place. @defaultValue '_INBOX' */
  readonly inboxPrefix?: string | undefined;
  /** Ends the waiting for more answers. */
  readonly signal?: AbortSignal | undefined;
}

/** The iModels that answer on a bus, by id: all that do so within a quarter of a second after one another. */
export async function discover(bus: Bus, options: DiscoverOptions = {}): Promise<DiscoveredModel[]> {
  const found = new Map<string, DiscoveredModel & { readonly nodes: Set<string> }>();
  for (const message of await gather(bus, options)) {
    const answer = info.safeParse(bodyOf(message));
    if (!answer.success) continue;
    const { metadata, endpoints } = answer.data;
    for (const { subject, metadata: own } of endpoints) {
      const [, id] = /^imodel\.([^.]+)\.invoke$/.exec(subject) ?? [];
      if (id === undefined) continue;
      const { provider, model, protocol, agent } = metadata;
      const fields = own?.request_fields?.split(',') ?? null;
      const known = found.get(id);
      if (known !== undefined) known.nodes.add(answer.data.id);
      else {
        const nodes = new Set([answer.data.id]);
        found.set(id, { id, provider, model, protocol, isAgent: agent === 'true', fields, nodes });
      }
    }
  }
  return [...found.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
}

/** Sends one request and takes the answers of all who listen. */
async function gather(bus: Bus, { inboxPrefix = '_INBOX', signal }: DiscoverOptions): Promise<readonly Message[]> {
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
      signal?.addEventListener('abort', () => resolve(), { once: true });
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
