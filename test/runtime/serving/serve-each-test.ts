import { afterEach } from 'vitest';
import type { NatsOptions } from '../../../src/bus/nats.ts';
import type { IModelOptions } from '../../../src/imodel-options.ts';
import { type buses, type Served, serveScripted } from '../../integration/served-model.ts';

/** How long any reply may take. */
export const quick = { timeoutMs: 10_000 };

/** Serves a scripted iModel for the test that runs. */
type Serve = (
  script?: Readonly<Record<string, unknown>>,
  options?: Partial<IModelOptions>,
  busOptions?: NatsOptions,
) => Promise<Served>;

/** What the tests of one `describe` serve their iModels with over one bus; each is closed when its test has ended. */
export function serveEachTest(open: (typeof buses)[string]): Serve {
  const opened: Served[] = [];
  afterEach(async () => {
    for (const one of opened.splice(0)) await one[Symbol.asyncDispose]();
  });
  return async (script, options, busOptions) => {
    const served = await serveScripted(open, script, options, busOptions);
    opened.push(served);
    return served;
  };
}
