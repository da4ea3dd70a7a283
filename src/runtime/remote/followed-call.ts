import type { WireCall } from '../../../schemas/call.ts';
import { resumeReply, streamMessage } from '../../../schemas/wire.ts';
import type { Bus } from '../../bus/bus.ts';
import { NumberedReader } from '../../bus/numbered-reader.ts';
import type { NumberedMessage } from '../../bus/numbered-sender.ts';
import { subjects } from '../../bus/subjects.ts';
import { IModelError } from '../../errors.ts';
import { checkedReply } from './read-reply.ts';

/** How long one question for the call waits, in milliseconds. */
const askTimeoutMs = 1_000;

/** Silence after which the host of a call counts as gone; it shows several times a second that the call lives. In milliseconds. */
const idleTimeoutMs = 30_000;

/** What a {@link FollowedCall} is made from. */
export interface FollowedCallOptions {
  readonly bus: Bus;
  readonly modelId: string;
  readonly callId: string;
  /** Hears, at most once, how the call ended. */
  readonly ended: (call: WireCall) => void;
  /** Hears, at most once, that its host is gone. */
  readonly lost: (error: IModelError) => void;
}

/**
 * Stays with a call that was invoked elsewhere and takes its time. The reply alone would not do: a request has no end when its host dies,
 * and a host cannot know that its caller has died.
 */
export class FollowedCall {
  readonly #options: FollowedCallOptions;
  readonly #reader: NumberedReader;

  /** Begins at once. @throws IModelError `closed` on a bus that is closing. */
  constructor(options: FollowedCallOptions) {
    this.#options = options;
    const { bus, modelId, callId, lost } = options;
    this.#reader = new NumberedReader({
      bus,
      subject: subjects.chunks(modelId, callId),
      idleTimeoutMs,
      // A large request is still on its way to its host for a while.
      recoveryMs: idleTimeoutMs,
      ask: (afterSeq) => this.#ask(afterSeq),
      take: (message) => this.#take(message),
      fail: lost,
    });
    this.#reader.catchUp();
  }

  /** Lets go of the call. */
  close(): void {
    this.#reader.close();
  }

  async #ask(afterSeq: number): Promise<readonly unknown[]> {
    const { bus, modelId, callId } = this.#options;
    const body = { call_id: callId, after_seq: afterSeq, follow: true };
    const message = await bus.request(subjects.resume(modelId), body, { timeoutMs: askTimeoutMs });
    return checkedReply(resumeReply, message).messages;
  }

  #take(message: NumberedMessage): void {
    const { callId, ended, lost } = this.#options;
    const parsed = streamMessage.safeParse(message);
    this.close();
    if (parsed.success && parsed.data.kind === 'end') ended(parsed.data.call);
    else lost(IModelError.of('malformed', `The end of call ${callId} could not be read`, { source: 'bus' }));
  }
}
