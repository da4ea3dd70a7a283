import type { Command } from 'commander';
import { type Chunk, chunkToWire } from '../../schemas/chunk.ts';
import { type CallFlags, type PreparedCall, runCall, withCallFlags } from './call-command.ts';
import { callOf, printJson, printSummary } from './call-output.ts';
import { faint } from './format.ts';
import type { Finish } from './options.ts';
import { Progress } from './progress.ts';
import { exitCodes } from './report-error.ts';

/** `imodel stream`: one call, printed while it comes. */
export function addStream(program: Command, finish: Finish): void {
  withCallFlags(program.command('stream').description('run one call and print its answer as it comes')).action(
    async (name: string | undefined, words: string[], flags: CallFlags) =>
      finish(await runCall(name, words, flags, (call) => stream(call, flags.json === true))),
  );
}

async function stream({ target, request, options }: PreparedCall, json: boolean): Promise<number> {
  const progress = new Progress(process.stderr, json);
  const printer = json ? new JsonPrinter() : new TextPrinter();
  progress.show(`waiting for ${target.name}`);
  try {
    const chunks = target.stream(request, options);
    for await (const chunk of chunks) {
      if (chunk.type !== 'system') progress.stop();
      await printer.print(chunk);
    }
    printer.end();
    const { call } = chunks;
    if (json && call !== null) printJson({ kind: 'end', seq: printer.count + 1, call: call.toWire() });
    else if (call !== null) printSummary(call);
    return exitCodes.ok;
  } catch (error) {
    printer.end();
    const call = callOf(error);
    if (!json || call === undefined) throw error;
    printJson({ kind: 'end', seq: printer.count + 1, call: call.toWire() });
    return exitCodes.failed;
  } finally {
    progress.stop();
  }
}

/** The chunks as the bus carries them, one a line. */
class JsonPrinter {
  count = 0;

  print(chunk: Chunk): Promise<void> | undefined {
    this.count += 1;
    printJson({ kind: 'chunk', seq: this.count, ...chunkToWire(chunk) });
    return drained();
  }

  end(): void {}
}

/** The answer on stdout; what else the model says, on the terminal only. */
class TextPrinter {
  count = 0;
  #midLine = false;

  print(chunk: Chunk): Promise<void> | undefined {
    this.count += 1;
    const text = chunk.content ?? '';
    if (chunk.type === 'text') {
      if (text !== '') this.#midLine = !text.endsWith('\n');
      process.stdout.write(text);
    } else if (chunk.type === 'thinking' && process.stderr.isTTY) {
      process.stderr.write(faint(text, process.stderr));
    } else if (chunk.type === 'media' && chunk.isDelta !== true && process.stderr.isTTY) {
      process.stderr.write(faint(`[${chunk.mediaType}] ${chunk.data?.length} bytes\n`, process.stderr));
    } else if (chunk.type === 'tool_use' && chunk.isDelta !== true) {
      this.end();
      process.stdout.write(`[tool] ${chunk.toolName ?? ''} ${JSON.stringify(chunk.toolInput ?? {})}\n`);
    }
    return drained();
  }

  /** Closes the line that was begun. */
  end(): void {
    if (this.#midLine) process.stdout.write('\n');
    this.#midLine = false;
  }
}

/** A slow reader of our output slows the upstream, instead of filling this process. */
function drained(): Promise<void> | undefined {
  const { stdout } = process;
  if (!stdout.writableNeedDrain) return undefined;
  return new Promise((resolve) => {
    const events = ['drain', 'error', 'close'] as const;
    const done = (): void => {
      for (const event of events) stdout.off(event, done);
      resolve();
    };
    for (const event of events) stdout.on(event, done);
  });
}
