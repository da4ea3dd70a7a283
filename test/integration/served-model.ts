import type { Bus } from '../../src/bus/bus.ts';
import { createMemoryBus } from '../../src/bus/memory.ts';
import type { NatsOptions } from '../../src/bus/nats.ts';
import { iModel } from '../../src/imodel.ts';
import type { IModelOptions } from '../../src/imodel-options.ts';
import { connect, type RemoteModel } from '../../src/runtime/remote/remote-model.ts';
import type { ServedModel } from '../../src/runtime/serving/serve.ts';
import { connectTestBus, uniqueId } from './connect-test-bus.ts';
import { WatchedEndpoint } from './watched-endpoint.ts';

/** The two ends of a bus: in memory the same, over NATS two connections. */
export interface Ends {
  readonly host: Bus;
  readonly caller: Bus;
}

/** How to open each bus that the contract holds on. */
export const buses: Readonly<Record<string, (options?: NatsOptions) => Promise<Ends>>> = {
  memory: async (options) => {
    const bus = createMemoryBus(options);
    return { host: bus, caller: bus };
  },
  nats: async (options) => ({ host: await connectTestBus(options), caller: await connectTestBus(options) }),
};

/** A scripted iModel that is served, with the way to reach it from the other end. */
export interface Served extends Ends, AsyncDisposable {
  readonly id: string;
  readonly model: iModel;
  readonly endpoint: WatchedEndpoint;
  readonly served: ServedModel;
  readonly remote: RemoteModel;
  /** What the host's bus could not deliver, and handlers that threw. */
  readonly faults: unknown[];
}

/** Serves a scripted iModel; `script` holds the defaults of its answers. */
export async function serveScripted(
  open: (options?: NatsOptions) => Promise<Ends>,
  script: Readonly<Record<string, unknown>> = {},
  options: Partial<IModelOptions> = {},
  busOptions: NatsOptions = {},
): Promise<Served> {
  const faults: unknown[] = [];
  const { host, caller } = await open({ onError: (error) => void faults.push(error), ...busOptions });
  const id = uniqueId();
  const endpoint = new WatchedEndpoint({ kwargs: script });
  // A failure of the script is to be seen, not made good.
  const model = new iModel({ id, endpoint, retry: null, ...options });
  const served = model.serve(host);
  await host.flush();
  return {
    host,
    caller,
    id,
    model,
    endpoint,
    served,
    remote: connect(caller).model(id),
    faults,
    async [Symbol.asyncDispose]() {
      served.close();
      await model.close();
      await caller.close();
      await host.close();
    },
  };
}
