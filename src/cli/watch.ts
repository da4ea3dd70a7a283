import type { Command } from 'commander';
import { modelEvent } from '../../schemas/event.ts';
import type { Bus } from '../bus/bus.ts';
import { subjects } from '../bus/subjects.ts';
import { type BusFlags, withBus } from './bus-command.ts';
import { eventLine } from './event-line.ts';
import { addNatsOptions, type Finish, jsonOption } from './options.ts';
import { exitCodes } from './report-error.ts';

/** `imodel watch`: events as they happen, until interrupted. */
export function addWatch(program: Command, finish: Finish): void {
  addNatsOptions(program.command('watch'), 'the NATS server they are served on (default: nats://127.0.0.1:4222)')
    .description('print the events of one served iModel, or of all, as they happen; Ctrl-C ends it')
    .argument('[id]', 'the id of the iModel; all when absent')
    .addOption(jsonOption())
    .action(async (id: string | undefined, flags: BusFlags) => {
      finish(
        await withBus(flags, async (bus, { signal }) => {
          await watch(bus, id, flags.json === true, signal);
          return exitCodes.ok;
        }),
      );
    });
}

async function watch(bus: Bus, id: string | undefined, json: boolean, signal: AbortSignal): Promise<void> {
  const say = (text: string): void => {
    if (!json) process.stderr.write(`${text}\n`);
  };
  bus.subscribe(subjects.everyEvent(id), (message) => {
    const event = modelEvent.safeParse(message.value());
    if (!event.success) say(`a message on ${message.subject} is no event`);
    else process.stdout.write(`${json ? JSON.stringify(event.data) : eventLine(event.data)}\n`);
  });
  await bus.flush();
  say(`watching ${id ?? 'every iModel'}; Ctrl-C ends it`);
  void tellConnection(bus, say);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

async function tellConnection(bus: Bus, say: (text: string) => void): Promise<void> {
  let lost = false;
  for await (const { type } of bus.status) {
    if (type === 'disconnected') say('the connection was lost; events until it is back are missed');
    else if (type === 'connected' && lost) say('connected again');
    lost = type === 'disconnected' || (lost && type !== 'connected');
  }
}
