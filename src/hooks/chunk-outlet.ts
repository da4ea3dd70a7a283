import type { Clock } from '../../actors/clock.ts';
import type { AnswerView, Chunk, ToolUse } from '../../schemas/chunk.ts';
import type { ChunkSink, EndpointReply } from '../endpoints/endpoint.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';
import type { AskedHook, BusHooks } from './bus-hooks.ts';
import type { ChunkHandling } from './chunk-handling.ts';
import { ChunkStage, ShownStage, type Stage } from './chunk-stage.ts';
import { DROP } from './hook.ts';

/** Chunks of one question, and milliseconds after which fewer are asked about, unless configured. */
const window = { chunks: 16, holdMs: 250 } as const;

/** What an outlet is made from. @internal */
export interface ChunkOutletOptions {
  readonly call: ApiCalling;
  /** The reader. */
  readonly sink: ChunkSink;
  readonly clock: Clock;
  /** Handlers in this process; they come first. Null without. */
  readonly handling: ChunkHandling | null;
  /** Hooks on the bus; null without. */
  readonly busHooks: BusHooks | null;
  /** Ends the call when a hook refuses its chunks. */
  readonly refuse: (error: unknown) => void;
}

/**
 * What the chunks of one call pass on their way to its reader: the handlers in this process, then the hooks on the bus in their order.
 *
 * A reader never sees, in the outcome of its call, what a hook on the bus has changed or kept back: then text, thinking and tool uses are
 * those that were passed on, and there is no response. @internal
 */
export class ChunkOutlet implements ChunkSink {
  readonly #stages: readonly Stage[];
  readonly #first: ChunkSink;
  readonly #passed: Passed | null;
  readonly #stop = new AbortController();

  constructor(options: ChunkOutletOptions) {
    const { call, clock, handling, busHooks, refuse } = options;
    const hooks = busHooks?.at('chunk') ?? [];
    this.#passed = hooks.some(holds) ? new Passed(options.sink) : null;
    const stages: Stage[] = [];
    let target: ChunkSink = this.#passed ?? options.sink;
    // From the reader to the endpoint.
    for (const hook of [...hooks].reverse()) {
      const stage = this.#asking(busHooks as BusHooks, hook, target, options);
      stages.unshift(stage);
      target = stage;
    }
    if (handling !== null) {
      const judge = async ([chunk]: readonly Chunk[]): Promise<readonly Chunk[]> => {
        const handled = await handling.handle(call, chunk as Chunk);
        return handled === DROP ? [] : [handled];
      };
      const each = { atLeast: 1, atMost: 1, holdMs: Number.POSITIVE_INFINITY, tellsEnd: false };
      stages.unshift(new ChunkStage({ target, clock, judge, refuse, ...each }));
    }
    this.#first = stages[0] ?? target;
    this.#stages = stages;
  }

  write(chunk: Chunk): boolean {
    return this.#first.write(chunk);
  }

  onDrain(resume: () => void): void {
    this.#first.onDrain(resume);
  }

  /**
   * Hands on what is held.
   *
   * @throws what a hook refused the chunks with.
   */
  async finish(): Promise<void> {
    for (const stage of this.#stages) await stage.finish();
  }

  /** The reply as its reader may know it. */
  amend(reply: EndpointReply): EndpointReply {
    return this.#passed?.amend(reply) ?? reply;
  }

  /** Forgets what is held: the call is ended. */
  stop(reason: unknown): void {
    if (this.#passed !== null) this.#passed.isChanged = true;
    this.#stop.abort(reason);
    for (const stage of this.#stages) stage.stop(reason);
  }

  #asking(busHooks: BusHooks, hook: AskedHook, target: ChunkSink, options: ChunkOutletOptions): Stage {
    const { call, clock, refuse } = options;
    let count = 0;
    if (!holds(hook)) {
      return new ShownStage(target, (chunks, isLast) => {
        busHooks.show(hook, call, { chunks, first: count + 1, isLast });
        count += chunks.length;
      });
    }
    const judge = async (chunks: readonly Chunk[], isLast: boolean): Promise<readonly Chunk[]> => {
      const first = count + 1;
      count += chunks.length;
      const passed = await busHooks.judge(hook, call, { chunks, first, isLast }, this.#stop.signal);
      if (passed !== chunks && this.#passed !== null) this.#passed.isChanged = true;
      return passed;
    };
    return new ChunkStage({ target, clock, judge, refuse, ...held(hook), tellsEnd: true });
  }
}

function holds({ options }: AskedHook): boolean {
  return options.point === 'chunk' && options.mode !== 'observe';
}

function held({ options }: AskedHook): { readonly atLeast: number; readonly atMost: number; readonly holdMs: number } {
  const all = { atLeast: Number.POSITIVE_INFINITY, atMost: Number.POSITIVE_INFINITY, holdMs: Number.POSITIVE_INFINITY };
  if (options.point !== 'chunk' || options.mode === 'hold-all') return all;
  // A hook that is slower than the endpoint is asked about all that has come meanwhile.
  return { ...all, atLeast: options.holdChunks ?? window.chunks, holdMs: options.holdMs ?? window.holdMs };
}

/** The last on the way to the reader: knows what got through. */
class Passed implements ChunkSink {
  readonly #target: ChunkSink;
  readonly #toolUses: ToolUse[] = [];
  #text = '';
  #thinking = '';
  /** Something of the answer did not get through as it was. */
  isChanged = false;

  constructor(target: ChunkSink) {
    this.#target = target;
  }

  write(chunk: Chunk): boolean {
    const { type, content, isDelta, toolId, toolName, toolInput } = chunk;
    if (type === 'text') this.#text += content ?? '';
    else if (type === 'thinking') this.#thinking += content ?? '';
    else if (type === 'tool_use' && isDelta !== true) {
      this.#toolUses.push({ id: toolId ?? '', name: toolName ?? '', input: { ...toolInput } });
    }
    return this.#target.write(chunk);
  }

  onDrain(resume: () => void): void {
    this.#target.onDrain(resume);
  }

  amend(reply: EndpointReply): EndpointReply {
    if (!this.isChanged) return reply;
    const view: AnswerView = {
      ...reply.view,
      text: this.#text,
      thinking: this.#thinking,
      toolUses: this.#toolUses,
    };
    return { ...reply, response: null, view };
  }
}
