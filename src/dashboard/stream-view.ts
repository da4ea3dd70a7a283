import type { ServerResponse } from 'node:http';
import { nodeState } from '../../schemas/state.ts';
import { resumeReply, type StreamMessage, streamMessage } from '../../schemas/wire.ts';
import type { Bus, Subscription } from '../bus/bus.ts';
import { subjects } from '../bus/subjects.ts';
import { IModelError } from '../errors.ts';
import { checkedReply } from '../runtime/remote/read-reply.ts';
import { Viewer } from './viewer.ts';

/** How long the one who holds a stream may take to answer, in milliseconds. */
const questionMs = 2_000;

/** What comes within so many milliseconds is told at once. */
const batchMs = 50;

/** Pieces that wait for a page that is behind; the oldest are dropped. */
const maxPending = 2_000;

/** Characters of one piece that are shown. */
const maxText = 65_536;

/** How many of the latest chunks are surely still kept. */
const surelyKept = 1_000;

/** One piece of a stream as a page shows it. */
type Piece =
  | { readonly seq: number; readonly type: string; readonly text: string }
  | { readonly seq: number; readonly type: 'end'; readonly status: string; readonly text: string };

/** A live stream, found on the bus. */
export interface OpenStream {
  /** Tells a page of it from its first kept chunk to its end. */
  tell(raw: ServerResponse, slowReaderMs: number): void;
  /** Lets go of it, unheard. */
  close(): void;
}

/**
 * Finds a stream by its call, whoever reads it.
 *
 * @throws IModelError `timed_out` when nobody holds such a stream, as when its call is not streamed or has ended long ago.
 */
export async function openStream(bus: Bus, modelId: string, callId: string): Promise<OpenStream> {
  const early: unknown[] = [];
  let take = (value: unknown): void => void early.push(value);
  const subscription = bus.subscribe(subjects.chunks(modelId, callId), (message) => take(message.value()));
  try {
    await bus.flush();
    const kept = await resume(bus, modelId, callId);
    return {
      tell: (raw, slowReaderMs) => {
        const view = new StreamView(raw, slowReaderMs, subscription);
        take = (value) => view.take(value);
        for (const message of [...kept, ...early]) view.take(message);
      },
      close: () => subscription.close(),
    };
  } catch (error) {
    subscription.close();
    throw error;
  }
}

/** The messages that are kept: all, or the latest of a long stream. */
async function resume(bus: Bus, modelId: string, callId: string): Promise<readonly StreamMessage[]> {
  const ask = async (afterSeq: number): Promise<readonly StreamMessage[]> => {
    const body = { call_id: callId, after_seq: afterSeq };
    const reply = await bus.request(subjects.resume(modelId), body, { timeoutMs: questionMs });
    return checkedReply(resumeReply, reply).messages;
  };
  try {
    return await ask(0);
  } catch (error) {
    if (!IModelError.is(error) || error.code !== 'invalid_request') throw error;
  }
  const state = await bus.request(subjects.state(modelId), { calls: 1_000 }, { timeoutMs: questionMs });
  const { calls = [] } = checkedReply(nodeState, state);
  return ask(Math.max(0, (calls.find(({ id }) => id === callId)?.chunks ?? 0) - surelyKept));
}

/** Passes the pieces of one stream on to a page. */
class StreamView {
  readonly #viewer: Viewer;
  readonly #subscription: Subscription;
  #pending: Piece[] = [];
  #missed = 0;
  #lastSeq = 0;
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  constructor(raw: ServerResponse, slowReaderMs: number, subscription: Subscription) {
    this.#viewer = new Viewer(raw, slowReaderMs);
    this.#subscription = subscription;
    raw.once('close', () => {
      clearTimeout(this.#timer);
      subscription.close();
    });
    raw.on('drain', () => this.#schedule());
  }

  /** What was replayed may come once more, live. */
  take(value: unknown): void {
    const { data: message } = streamMessage.safeParse(value);
    if (message === undefined || message.seq <= this.#lastSeq || this.#hasEnded) return;
    this.#missed += message.seq - this.#lastSeq - 1;
    this.#lastSeq = message.seq;
    this.#pending.push(pieceOf(message));
    this.#hasEnded = message.kind === 'end';
    if (this.#pending.length > maxPending) {
      this.#pending.shift();
      this.#missed += 1;
      this.#viewer.skip(1);
    }
    this.#schedule();
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#tell();
    }, batchMs);
  }

  #tell(): void {
    if (this.#viewer.isBehind || this.#pending.length === 0) return;
    this.#viewer.send('pieces', JSON.stringify({ pieces: this.#pending, missed: this.#missed }));
    this.#pending = [];
    this.#missed = 0;
    if (!this.#hasEnded) return;
    this.#subscription.close();
    this.#viewer.close();
  }
}

function pieceOf(message: StreamMessage): Piece {
  if (message.kind === 'end') {
    const { execution, failure } = message.call;
    return { seq: message.seq, type: 'end', status: execution.status, text: failure?.message ?? '' };
  }
  const { seq, type, content, tool_name: tool, tool_input: input, tool_output: output, media_type: media } = message;
  const shown = content ?? [media, tool, show(input ?? output)].filter(Boolean).join(' ');
  return { seq, type, text: shown.slice(0, maxText) };
}

function show(value: unknown): string {
  return value === undefined || value === null ? '' : JSON.stringify(value);
}
