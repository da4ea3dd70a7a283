import { readVendorError, record } from '../http/vendor-error.ts';
import type { Answer, OpenToolCall } from './answer.ts';
import type { Fields } from './endpoint.ts';
import { chatFinishReason, contentText, failingReasonFault, reworded } from './openai-chat-reply.ts';
import { readUsage } from './openai-usage.ts';
import { type StreamReading, VendorFault } from './protocol.ts';
import { ReasoningSteps } from './reasoning-steps.ts';
import { ThinkPrefixSplitter } from './think-prefix.ts';

/** What differs between vendors in the way they stream. */
export interface ChatReadingOptions {
  /** The tag of reasoning that may stand in front of an answer, such as `think`; it becomes `thinking`. @defaultValue none */
  readonly thinkTag?: string;
  /** Top-level keys of replies and events that are kept from a stream too, such as `citations`. @defaultValue none */
  readonly keep?: readonly string[];
  /** Finish reasons that mean the vendor failed. @defaultValue none */
  readonly failingReasons?: readonly string[];
  /** Finds better words in an error's body than its message; undefined where there are none. @defaultValue none are looked for */
  readonly errorText?: (body: unknown) => string | undefined;
}

/** The fields of an event that are read. Everything is optional: many hosts leave much out. */
interface ChatEvent {
  readonly id?: string;
  readonly model?: string;
  readonly created?: number;
  readonly error?: unknown;
  readonly object?: string;
  readonly choices?: readonly ChatChoice[];
  readonly usage?: unknown;
  readonly x_groq?: { readonly usage?: unknown; readonly error?: unknown };
  readonly [kept: string]: unknown;
}

interface ChatChoice {
  readonly index?: number;
  readonly delta?: ChatDelta | null;
  readonly message?: ChatDelta | null;
  readonly finish_reason?: string | null;
  readonly logprobs?: ChatLogprobs | null;
}

/** How likely the tokens of a piece were, as the vendor writes it. */
interface ChatLogprobs {
  readonly content?: readonly unknown[] | null;
  readonly refusal?: readonly unknown[] | null;
}

interface ChatDelta {
  readonly content?: unknown;
  readonly refusal?: string | null;
  readonly reasoning_content?: string | null;
  readonly reasoning?: string | null;
  readonly reasoning_details?: readonly unknown[] | null;
  readonly reasoning_steps?: readonly unknown[] | null;
  readonly annotations?: readonly unknown[] | null;
  readonly tool_calls?: readonly ToolDelta[] | null;
  readonly function_call?: { readonly name?: string; readonly arguments?: string } | null;
}

interface ToolDelta {
  readonly index?: number | null;
  readonly id?: string | null;
  readonly function?: { readonly name?: string | null; readonly arguments?: unknown } | null;
  readonly extra_content?: unknown;
}

/** What has come of a choice beside the first. */
interface OtherChoice {
  text: string;
  refusal: string;
  finishReason: string | null;
  readonly chances: TokenChances;
}

/**
 * Reads the events of a streamed chat completion. The first choice is the answer. Pieces of the others, where several were asked for, are `system`
 * chunks with the vendor's own words for them: `metadata: { event: 'choice', index, delta, finishReason, logprobs }`.
 */
export class OpenaiChatReading implements StreamReading {
  readonly #answer: Answer;
  readonly #options: ChatReadingOptions;
  readonly #splitter: ThinkPrefixSplitter | null;
  /** Choices beside the first. */
  readonly #others = new Map<number, OtherChoice>();
  readonly #chances = new TokenChances();
  readonly #kept: Record<string, unknown> = {};
  readonly #reasoningDetails: unknown[] = [];
  readonly #annotations: unknown[] = [];
  #steps: ReasoningSteps | null = null;
  #created = 0;
  #refusal = '';

  constructor(answer: Answer, options: ChatReadingOptions) {
    this.#answer = answer;
    this.#options = options;
    this.#splitter =
      options.thinkTag !== undefined
        ? new ThinkPrefixSplitter(
            options.thinkTag,
            (text) => answer.writeThinking(text),
            (text) => answer.writeText(text),
          )
        : null;
  }

  event(value: unknown, name?: string): boolean {
    // Google's errors come in a list of one.
    const event = (Array.isArray(value) ? value[0] : value) as ChatEvent | null | undefined;
    if (typeof event !== 'object' || event === null) return false;
    if (isFault(event, name)) throw new VendorFault(reworded(readVendorError(event, ''), event, this.#options), event);
    this.#begin(event);
    if (event.usage !== undefined && event.usage !== null)
      this.#answer.usage = readUsage(event.usage) ?? this.#answer.usage;
    if (event.x_groq !== undefined) this.#groq(event);
    if (this.#options.keep !== undefined) this.#keep(event, this.#options.keep);
    if (!Array.isArray(event.choices)) return false;
    for (const choice of event.choices as readonly ChatChoice[]) {
      if ((choice.index ?? 0) === 0) this.#choice(choice);
      else this.#otherChoice(choice);
    }
    return false;
  }

  end(terminated: boolean): boolean {
    const complete = terminated || this.#answer.rawFinishReason !== null;
    if (!complete) return false;
    this.#splitter?.end();
    const { extras } = this.#answer;
    if (this.#others.size > 0) {
      extras.otherChoices = [...this.#others].map(([index, { text, finishReason }]) => ({ index, text, finishReason }));
    }
    if (this.#annotations.length > 0) extras.annotations = this.#annotations;
    if (this.#reasoningDetails.length > 0) extras.reasoningDetails = this.#reasoningDetails;
    Object.assign(extras, this.#kept);
    return true;
  }

  response(): unknown {
    const { id, model, text, thinking, toolCalls, rawFinishReason, usage } = this.#answer;
    // A refusal comes after whatever was said before it.
    const said = text.endsWith(this.#refusal) ? text.slice(0, text.length - this.#refusal.length) : text;
    const message = {
      role: 'assistant',
      content: said === '' && (toolCalls.length > 0 || this.#refusal !== '') ? null : said,
      ...(this.#refusal === '' ? {} : { refusal: this.#refusal }),
      ...(thinking === '' ? {} : { reasoning_content: thinking }),
      ...(this.#reasoningDetails.length === 0 ? {} : { reasoning_details: this.#reasoningDetails }),
      ...(this.#annotations.length === 0 ? {} : { annotations: this.#annotations }),
      ...(this.#steps === null ? {} : { reasoning_steps: this.#steps.all }),
      ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(writeCall) }),
    };
    const others = [...this.#others].map(([index, { text: content, refusal, finishReason, chances }]) => ({
      index,
      message: { role: 'assistant', content, ...(refusal === '' ? {} : { refusal }) },
      finish_reason: finishReason,
      ...chances.written(),
    }));
    return {
      id,
      object: 'chat.completion',
      created: this.#created,
      model,
      choices: [{ index: 0, message, finish_reason: rawFinishReason, ...this.#chances.written() }, ...others],
      ...this.#kept,
      ...(usage === null ? {} : { usage: usage.raw }),
    };
  }

  /** Some hosts send an event or two before the first that says who answers. */
  #begin({ id, model, created }: ChatEvent): void {
    if (this.#created === 0 && typeof created === 'number') this.#created = created;
    if (typeof id === 'string') this.#answer.id ||= id || null;
    if (typeof model === 'string') this.#answer.model ||= model || null;
  }

  #choice(choice: ChatChoice): void {
    const delta = choice.delta ?? choice.message;
    const logprobs = choice.logprobs ? this.#chances.add(choice.logprobs) : null;
    if (delta !== undefined && delta !== null) this.#delta(delta, logprobs);
    const reason = choice.finish_reason;
    if (typeof reason !== 'string' || reason === '') return;
    if (this.#options.failingReasons?.includes(reason) === true) {
      throw new VendorFault(failingReasonFault(reason), choice);
    }
    this.#answer.rawFinishReason = reason;
    this.#answer.finishReason = chatFinishReason(reason);
  }

  #delta(delta: ChatDelta, logprobs: ChatLogprobs | null): void {
    const answer = this.#answer;
    const { content } = delta;
    const thinking = delta.reasoning_content ?? delta.reasoning;
    if (typeof thinking === 'string' && thinking !== '') answer.writeThinking(thinking);
    if (Array.isArray(delta.reasoning_steps)) this.#step(delta.reasoning_steps);
    if (content !== undefined && content !== null && content !== '') {
      const text = contentText(content);
      if (this.#splitter !== null) this.#splitter.write(text);
      else answer.writeText(text, logprobs?.content ? { logprobs } : undefined);
    }
    // What the splitter lets out, and when, has nothing to do with tokens.
    if (logprobs?.content && (this.#splitter !== null || !content)) answer.writeText('', { logprobs });
    if (typeof delta.refusal === 'string' && delta.refusal !== '') {
      this.#refusal += delta.refusal;
      answer.writeRefusal(delta.refusal, logprobs?.refusal ? { logprobs } : {});
    }
    if (Array.isArray(delta.tool_calls)) {
      for (const call of delta.tool_calls as readonly ToolDelta[]) this.#tool(call);
    }
    if (delta.function_call) this.#tool({ index: 0, function: delta.function_call });
    if (Array.isArray(delta.annotations)) this.#annotations.push(...delta.annotations);
    if (Array.isArray(delta.reasoning_details)) this.#reasoningDetails.push(...delta.reasoning_details);
  }

  #step(steps: readonly unknown[]): void {
    const answer = this.#answer;
    this.#steps ??= new ReasoningSteps();
    for (const thought of this.#steps.add(steps)) {
      answer.writeThinking(answer.thinking === '' ? thought : `\n${thought}`);
    }
  }

  #tool(delta: ToolDelta): void {
    const known = this.#find(delta);
    const name = delta.function?.name ?? '';
    const call =
      known ??
      this.#answer.openTool({
        ...(typeof delta.index === 'number' ? { index: delta.index } : {}),
        id: delta.id ?? '',
        name,
      });
    if (call.name === '' && name !== '') call.name = name;
    const extra = record(delta.extra_content);
    if (extra !== undefined) call.extra = { ...call.extra, ...extra };
    const given = delta.function?.arguments;
    const fragment =
      typeof given === 'string' ? given : given === undefined || given === null ? '' : JSON.stringify(given);
    if (known === undefined || fragment !== '') this.#answer.writeToolDelta(call, fragment);
  }

  /** The call a fragment belongs to: by index, else by id, else the latest; undefined when it begins a new one. */
  #find(delta: ToolDelta): OpenToolCall | undefined {
    const { toolCalls } = this.#answer;
    const { id, index } = delta;
    const hasId = typeof id === 'string' && id !== '';
    if (typeof index === 'number') {
      const known = toolCalls.findLast((call) => call.index === index);
      // Gemini numbers every call 0: one with a name and an id of its own is another one.
      const isAnother = hasId && known !== undefined && known.id !== id && delta.function?.name;
      return isAnother ? undefined : known;
    }
    if (hasId) return toolCalls.find((call) => call.id === id);
    // Without index and id, only a name can tell a new call from a further fragment.
    return delta.function?.name ? undefined : toolCalls.at(-1);
  }

  #otherChoice({ index = 0, delta, finish_reason: finishReason, logprobs }: ChatChoice): void {
    const other = this.#others.get(index) ?? {
      text: '',
      refusal: '',
      finishReason: null,
      chances: new TokenChances(),
    };
    other.text += contentText(delta?.content);
    other.refusal += delta?.refusal ?? '';
    other.finishReason = finishReason ?? other.finishReason;
    this.#others.set(index, other);
    this.#answer.writeNote('choice', {
      index,
      delta: delta ?? {},
      finishReason: finishReason ?? null,
      logprobs: other.chances.add(logprobs),
    });
  }

  #groq(event: ChatEvent): void {
    const { usage, error } = event.x_groq ?? {};
    if (typeof error === 'string' && error !== '') throw new VendorFault({ message: error }, event);
    this.#answer.usage ??= readUsage(usage);
  }

  #keep(event: ChatEvent, names: readonly string[]): void {
    for (const name of names) {
      if (event[name] !== undefined && event[name] !== null) this.#kept[name] = event[name];
    }
  }
}

/** How likely the tokens of one choice were, all together. */
class TokenChances {
  #content: unknown[] | null = null;
  #refusal: unknown[] | null = null;

  /** @returns What was added; null where there was nothing in it. */
  add(piece: ChatLogprobs | null | undefined): ChatLogprobs | null {
    if (!piece?.content?.length && !piece?.refusal?.length) return null;
    const { content, refusal } = piece;
    if (content) this.#content = append(this.#content, content);
    if (refusal) this.#refusal = append(this.#refusal, refusal);
    return piece;
  }

  /** As the vendor writes them; nothing where there were none. */
  written(): { readonly logprobs?: ChatLogprobs } {
    if (this.#content === null && this.#refusal === null) return {};
    return { logprobs: { content: this.#content, refusal: this.#refusal } };
  }
}

function append(to: unknown[] | null, entries: readonly unknown[]): unknown[] {
  if (to === null) return [...entries];
  for (const entry of entries) to.push(entry);
  return to;
}

/** Whether an event reports a failure: with `error`, or by what it is called (vLLM: `object: "error"`). */
function isFault({ error, object, choices }: ChatEvent, name: string | undefined): boolean {
  if (error !== undefined && error !== null) return true;
  return choices === undefined && (name === 'error' || object === 'error');
}

function writeCall(call: OpenToolCall): Fields {
  return {
    id: call.id,
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
    ...(call.extra === null ? {} : { extra_content: call.extra }),
  };
}
