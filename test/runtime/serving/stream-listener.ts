import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { streamMessage, streamReply } from '../../../schemas/wire.ts';
import type { Bus, Message } from '../../../src/bus/bus.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import type { Served } from '../../integration/served-model.ts';
import { quick } from './serve-each-test.ts';

/** A prompt, which the script answers word by word. */
export const hello = { messages: [{ role: 'user', content: 'one two three four five' }] };
/** A stream that goes on until it is ended. */
export const endless = { ...hello, chunks: 100_000, chunk_delay_ms: 5 };
/** A stream whose first word is long in coming. */
export const silent = { ...hello, delay_ms: 60_000 };

/** A message of a stream as it came, signs of life left out. */
export type Heard = { readonly seq: number; readonly kind: string; readonly content?: string } & Record<
  string,
  unknown
>;

/** Everything on the subject of one call. */
export class Listener {
  readonly messages: Message[] = [];
  readonly #close: () => void;

  constructor(bus: Bus, modelId: string, callId: string) {
    const subscription = bus.subscribe(subjects.chunks(modelId, callId), (message) => void this.messages.push(message));
    this.#close = () => subscription.close();
  }

  get heard(): Heard[] {
    return this.messages.map((message) => message.value() as Heard).filter(({ kind }) => kind !== 'alive');
  }

  get ended(): boolean {
    return this.heard.some(({ kind }) => kind === 'end');
  }

  close(): void {
    this.#close();
  }
}

/** The text of a stream, read to its end. */
export async function readAll(stream: AsyncIterable<{ content?: string | null; type: string }>): Promise<string> {
  let text = '';
  for await (const chunk of stream) if (chunk.type === 'text') text += chunk.content ?? '';
  return text;
}

/** From 1 without gaps, the end once and last. */
export function expectWhole(heard: readonly Heard[]): void {
  expect(heard.map(({ seq }) => seq)).toEqual(heard.map((_, index) => index + 1));
  expect(heard.map(({ kind }) => kind).indexOf('end')).toBe(heard.length - 1);
  for (const message of heard) streamMessage.parse(message);
}

/** Asks for a stream as a client would that knows the contract and no more. */
export async function ask(
  { caller, id }: Served,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Listener & { readonly callId: string; readonly node: string }> {
  const callId = randomUUID();
  const listener = new Listener(caller, id, callId);
  await caller.flush();
  const reply = await caller.request(subjects.stream(id), body, {
    headers: { 'Imodel-Call': callId, ...headers },
    ...quick,
  });
  const { node, ...rest } = streamReply.strict().parse(reply.value());
  expect(rest).toEqual({ call_id: callId, subject: subjects.chunks(id, callId) });
  return Object.assign(listener, { callId, node });
}
