import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { type CallStatus, wireCall } from '../../schemas/call.ts';
import { modelEvent } from '../../schemas/event.ts';
import { modelState } from '../../schemas/state.ts';
import { streamMessage } from '../../schemas/wire.ts';
import type { Bus } from '../bus/bus.ts';
import { headerNames } from '../bus/headers.ts';
import { subjects } from '../bus/subjects.ts';
import type { IModelOptions } from '../imodel-options.ts';
import { readReply } from '../runtime/remote/read-reply.ts';
import { createRuntime } from '../runtime/runtime.ts';
import { type DemoOutput, DemoText, demoJson } from './demo-output.ts';
import { listenForInterrupt } from './interrupt.ts';
import { type Finish, jsonOption } from './options.ts';
import { exitCodes } from './report-error.ts';

const id = 'demo';
const question = 'In two sentences: what is an actor, in computing?';
const answer =
  'An actor is a small worker with a mailbox: it takes one message at a time and shares no memory with others. ' +
  'Because only messages connect actors, it does not matter whether they live in one process or on many machines.';

/** How long a local server may take to say that it is there, in milliseconds. */
const probeMs = 300;

const ollamaUrl = 'http://127.0.0.1:11434';

interface DemoFlags {
  readonly model?: string;
  readonly json?: boolean;
}

/** `imodel demo`: what an iModel does, shown in a few seconds. */
export function addDemo(program: Command, finish: Finish): void {
  program
    .command('demo')
    .description('show a call and a stream over a bus: needs no key and no server')
    .option('-m, --model <model>', 'the model to use (default: OpenAI or Ollama if there is one, else a script)')
    .addOption(jsonOption())
    .action(async (flags: DemoFlags) => finish(await demo(flags)));
}

async function demo(flags: DemoFlags): Promise<number> {
  const interrupt = listenForInterrupt();
  const { signal } = interrupt;
  const { options, why } =
    flags.model === undefined ? await chooseModel() : { options: modelOf(flags.model), why: null };
  const runtime = await createRuntime({ models: { [id]: options } });
  const output = flags.json === true ? demoJson : new DemoText();
  try {
    const { bus } = runtime;
    output.model(String(options.model), why);
    const events = bus.subscribe(subjects.everyEvent(id), (message) => output.event(modelEvent.parse(message.value())));
    const statuses = [await invoke(bus, output, signal), await stream(bus, output, signal)];
    await bus.flush();
    events.close();
    output.state(modelState.parse((await bus.request(subjects.state(id), {})).value()), subjects.state(id));
    return interrupt.exitCode ?? (statuses.every((status) => status === 'completed') ? exitCodes.ok : exitCodes.failed);
  } catch (error) {
    if (interrupt.exitCode === null) throw error;
    return interrupt.exitCode;
  } finally {
    await runtime.close();
    interrupt.release();
  }
}

/** A request to the invoke subject; its one reply is the call as it ended. */
async function invoke(bus: Bus, output: DemoOutput, signal: AbortSignal): Promise<CallStatus> {
  const callId = randomUUID();
  const subject = subjects.invoke(id);
  output.request(subject, question, 'its one reply is the call as it ended');
  const stop = cancelOnAbort(bus, callId, signal);
  const reply = await bus.request(subject, requestBody(), { headers: { [headerNames.call]: callId } });
  stop();
  const call = wireCall.parse(readReply(reply));
  await bus.flush();
  output.reply(call);
  return call.execution.status;
}

/** A request to the stream subject; the chunks come on a subject of their own, which is known beforehand. */
async function stream(bus: Bus, output: DemoOutput, signal: AbortSignal): Promise<CallStatus> {
  const callId = randomUUID();
  const subject = subjects.stream(id);
  const chunkSubject = subjects.chunks(id, callId);
  output.request(subject, question, `its chunks come on ${subjects.chunks(id, callId.slice(0, 8))}…`);
  const stop = cancelOnAbort(bus, callId, signal);
  const status = await new Promise<CallStatus>((resolve, reject) => {
    const subscription = bus.subscribe(chunkSubject, (message) => {
      const piece = streamMessage.parse(message.value());
      if (piece.kind === 'chunk') {
        output.chunk(piece);
        return;
      }
      subscription.close();
      // The last events are on their way.
      void bus.flush().then(() => {
        output.reply(piece.call);
        resolve(piece.call.execution.status);
      });
    });
    bus
      .request(subject, requestBody(), { headers: { [headerNames.call]: callId } })
      .then(readReply)
      .catch(reject);
  });
  stop();
  return status;
}

function requestBody(): Record<string, unknown> {
  return { messages: [{ role: 'user', content: question }] };
}

function cancelOnAbort(bus: Bus, callId: string, signal: AbortSignal): () => void {
  const cancel = (): void => bus.publish(subjects.cancel(id), { call_id: callId, reason: 'interrupted' });
  if (signal.aborted) throw signal.reason;
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}

interface Choice {
  readonly options: IModelOptions;
  /** Why this model; null when it was asked for. */
  readonly why: string | null;
}

async function chooseModel(): Promise<Choice> {
  if (process.env.OPENAI_API_KEY) {
    return { options: modelOf('openai/gpt-4o-mini'), why: 'there is an OPENAI_API_KEY' };
  }
  const local = await findOllamaModel();
  if (local !== null) return { options: modelOf(`ollama/${local}`), why: `Ollama answers at ${ollamaUrl}` };
  return { options: modelOf('scripted/demo'), why: 'a script: there is no OPENAI_API_KEY and no Ollama' };
}

function modelOf(model: string): IModelOptions {
  return model.startsWith('scripted/') ? { model, text: answer, delay_ms: 250, chunk_delay_ms: 25 } : { model };
}

/** The first model that an Ollama on this machine has; null without one. */
async function findOllamaModel(): Promise<string | null> {
  try {
    const reply = await fetch(`${ollamaUrl}/api/tags`, { signal: AbortSignal.timeout(probeMs) });
    const { models } = (await reply.json()) as { models?: { name?: unknown }[] };
    const name = models?.[0]?.name;
    return typeof name === 'string' ? name : null;
  } catch {
    return null;
  }
}
