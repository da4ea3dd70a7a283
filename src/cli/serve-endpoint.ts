import type { Command } from 'commander';
import { createEndpoint } from '../providers/create.ts';
import { serveEndpoint } from '../runtime/serving/serve-endpoint.ts';
import { withBus } from './bus-command.ts';
import { defaultNatsUrl } from './connection.ts';
import { withoutLogin } from './format.ts';
import { addNatsOptions, type Finish, jsonOption, type NatsFlags } from './options.ts';
import { parseFields } from './prompt.ts';
import { exitCodes } from './report-error.ts';

interface ServeEndpointFlags extends NatsFlags {
  readonly provider?: string;
  readonly model?: string;
  readonly baseUrl?: string;
  readonly options?: string;
  readonly json?: boolean;
}

/** `imodel serve-endpoint`: runs calls for iModels elsewhere, on the machine that has the program, the key or the graphics card. */
export function addServeEndpoint(program: Command, finish: Finish): void {
  addNatsOptions(program.command('serve-endpoint <name>'), `NATS server to serve on (default: ${defaultNatsUrl})`)
    .description("run a provider's calls for iModels elsewhere that have `endpoint: remote`, until interrupted")
    .option('-p, --provider <provider>', 'the provider, where its name is not <name>')
    .option('-m, --model <model>', 'model of requests that name none')
    .option('--base-url <url>', 'where the provider is, such as http://127.0.0.1:11434')
    .option('--options <json>', 'further options of the endpoint as JSON, or @file')
    .addOption(jsonOption('log JSON, one object a line'))
    .action(async (name: string, flags: ServeEndpointFlags) => finish(await run(name, flags)));
}

async function run(name: string, flags: ServeEndpointFlags): Promise<number> {
  const { provider = name, model, baseUrl, options } = flags;
  const endpoint = createEndpoint({
    ...(options === undefined ? {} : await parseFields('--options', options)),
    provider,
    ...(model === undefined ? {} : { model }),
    ...(baseUrl === undefined ? {} : { baseUrl }),
  });
  const print = (event: string, text: string): void => {
    process.stdout.write(flags.json === true ? `${JSON.stringify({ event, name, provider })}\n` : `${text}\n`);
  };
  return withBus(flags, async (bus, { signal }) => {
    const served = serveEndpoint(endpoint, name, bus);
    await bus.flush();
    const where = withoutLogin(flags.nats || defaultNatsUrl);
    print('ready', `ready: endpoint ${name} (${endpoint.config.provider}) on ${where}`);
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    print('stopping', 'stopping');
    await served.close();
    await endpoint.close();
    await bus.flush();
    print('stopped', 'stopped');
    return exitCodes.ok;
  });
}
