import { afterEach } from 'vitest';
import type { Bus, BusOptions, Message, PublishOptions } from '../../src/bus/bus.ts';
import { createMemoryBus } from '../../src/bus/memory.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';

/** How the suite reaches one implementation. In memory the two ends are the same bus; over NATS, two connections. */
interface Ends {
  /** Where handlers live. */
  readonly host: Bus;
  /** Who sends. */
  readonly caller: Bus;
}

/** Every bus that the contract holds on, and how to open it. */
export const implementations: Record<string, (options?: BusOptions) => Promise<Ends>> = {
  memory: async (options) => {
    const bus = createMemoryBus(options);
    return { host: bus, caller: bus };
  },
  'nats, two connections': async (options) => ({
    host: await connectTestBus(options),
    caller: await connectTestBus(options),
  }),
  'nats, one connection': async (options) => {
    const bus = await connectTestBus(options);
    return { host: bus, caller: bus };
  },
};

/** What the tests of one `describe` use one bus with; it is closed when its test has ended. */
interface BusForTest {
  start(options?: BusOptions): Promise<Ends>;
  /** Subscribes, sends, and tells what arrived. */
  sendAndCollect(payloads: readonly unknown[], options?: PublishOptions): Promise<Message[]>;
}

/** Lets each test of a `describe` open the bus under test. */
export function busForEachTest(open: (typeof implementations)[string]): BusForTest {
  let ends: Ends | undefined;
  const start = async (options?: BusOptions): Promise<Ends> => {
    ends = await open(options);
    return ends;
  };
  afterEach(async () => {
    await ends?.caller.close();
    await ends?.host.close();
    ends = undefined;
  });

  const sendAndCollect: BusForTest['sendAndCollect'] = async (payloads, options) => {
    const { host, caller } = await start();
    const subject = uniqueId();
    const seen: Message[] = [];
    host.subscribe(subject, (message) => void seen.push(message));
    await host.flush();
    for (const payload of payloads) caller.publish(subject, payload, options);
    await settle({ host, caller });
    return seen;
  };

  return { start, sendAndCollect };
}

/** Waits until the handlers have everything that was sent. */
export async function settle({ host, caller }: Ends): Promise<void> {
  await caller.flush();
  await host.flush();
  await host.flush();
}
