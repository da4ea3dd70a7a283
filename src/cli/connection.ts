import type { Bus } from '../bus/bus.ts';
import type { NatsOptions } from '../bus/nats-options.ts';
import { withoutLogin } from './format.ts';
import { connectionOptions, type NatsFlags } from './options.ts';
import { Progress } from './progress.ts';

/** The server that a NATS installation has unless told otherwise. */
export const defaultNatsUrl = 'nats://127.0.0.1:4222';

/**
 * Connects to the NATS server that the flags name, or to the one on this machine, with a sign of life if it takes long.
 *
 * @throws IModelError `unavailable`, `unauthorized` or `config`; the signal's reason when it aborts.
 */
export async function connectFlags(flags: NatsFlags, quiet: boolean, signal: AbortSignal): Promise<Bus> {
  const servers = flags.nats || defaultNatsUrl;
  const progress = new Progress(process.stderr, quiet);
  progress.show(`connecting to ${withoutLogin(servers)}`);
  try {
    const { connectNats } = await import('../bus/nats.ts');
    const options = connectionOptions({ ...flags, nats: servers });
    return await connectNats({ ...(options as NatsOptions), name: 'imodel command line', signal });
  } finally {
    progress.stop();
  }
}
