import { Command, CommanderError } from 'commander';
import { version } from '../version.ts';
import type { Finish } from './options.ts';
import { exitCodes, reportError } from './report-error.ts';

/**
 * Runs the program with the words of a command line.
 *
 * @param words - Without the interpreter and the script.
 * @returns The exit code: 0 when it worked, 1 for a call that failed, 2 for wrong usage, 128 and the signal's number when interrupted.
 */
export async function run(words: readonly string[]): Promise<number> {
  let code: number = exitCodes.ok;
  const program = new Command('imodel')
    .description('Language models as actors: queued, limited, cancellable, and reached over a bus.')
    .version(version, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .exitOverride()
    .showHelpAfterError('(add --help for what there is)')
    .addHelpText('after', examples);
  const finish: Finish = (result) => {
    code = result;
  };
  try {
    for (const add of await load(words[0])) add(program, finish);
    await program.parseAsync([...words], { from: 'user' });
  } catch (error) {
    // Help and version come as errors with the code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    return reportError(error, { json: words.includes('--json') });
  }
  return code;
}

type AddCommand = (program: Command, finish: Finish) => void;

/** One file a command, in the order of the help. */
const commands: Readonly<Record<string, () => Promise<AddCommand>>> = {
  demo: async () => (await import('./demo.ts')).addDemo,
  serve: async () => (await import('./serve.ts')).addServe,
  'serve-endpoint': async () => (await import('./serve-endpoint.ts')).addServeEndpoint,
  invoke: async () => (await import('./invoke.ts')).addInvoke,
  stream: async () => (await import('./stream.ts')).addStream,
  ls: async () => (await import('./ls.ts')).addLs,
  state: async () => (await import('./state.ts')).addState,
  snapshot: async () => (await import('./snapshot.ts')).addSnapshot,
  restore: async () => (await import('./restore.ts')).addRestore,
  control: async () => (await import('./control.ts')).addControl,
  replay: async () => (await import('./replay.ts')).addReplay,
  explain: async () => (await import('./explain.ts')).addExplain,
  inspect: async () => (await import('./inspect.ts')).addInspect,
  keys: async () => (await import('./keys.ts')).addKeys,
  watch: async () => (await import('./watch.ts')).addWatch,
  top: async () => (await import('./top.ts')).addTop,
  asyncapi: async () => (await import('./asyncapi.ts')).addAsyncApi,
  providers: async () => (await import('./providers.ts')).addProviders,
  doctor: async () => (await import('./doctor.ts')).addDoctor,
};

/** Loads the command that is asked for, so that it starts fast; all of them for help and for a name that is none. */
function load(name: string | undefined): Promise<AddCommand[]> {
  const one = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  return Promise.all((one === undefined ? Object.values(commands) : [one]).map((command) => command()));
}

const examples = `
Examples:
  imodel demo                                        what it does, without a key or a server
  imodel invoke openai/gpt-4o-mini "Why is it blue?"
  imodel serve --config models.yaml --nats nats://127.0.0.1:4222
  imodel stream gpt "Tell me a story" --nats nats://127.0.0.1:4222`;
