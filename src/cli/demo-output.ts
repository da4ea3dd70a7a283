import type { WireCall } from '../../schemas/call.ts';
import type { ModelEventMessage } from '../../schemas/event.ts';
import type { ModelState } from '../../schemas/state.ts';
import type { StreamMessage } from '../../schemas/wire.ts';
import { faint, formatDuration } from './format.ts';
import { describeFailure } from './report-error.ts';
import { stateLines } from './state.ts';

/** How the demo shows what happens. */
export interface DemoOutput {
  model(name: string, why: string | null): void;
  /** A request is about to be sent; `then` says what will come back. */
  request(subject: string, prompt: string, then: string): void;
  event(event: ModelEventMessage): void;
  chunk(chunk: Extract<StreamMessage, { kind: 'chunk' }>): void;
  reply(call: WireCall): void;
  state(state: ModelState, subject: string): void;
}

const width = 76;

/** For people: short and aligned, with the text of a stream written as it comes. */
export class DemoText implements DemoOutput {
  #startedAt = 0;
  #column = 0;
  #blank = false;
  #streamed = false;

  model(name: string, why: string | null): void {
    this.#line(`An iModel for ${name}, on a bus inside this process${why === null ? '.' : ` (${why}).`}`);
  }

  request(subject: string, prompt: string, then: string): void {
    this.#startedAt = performance.now();
    this.#streamed = false;
    this.#line('');
    this.#line(`> ${subject}  ${this.#faint(`"${prompt}"`)}`);
    this.#line(this.#faint(`  ${then}`));
  }

  event(event: ModelEventMessage): void {
    if (event.call_id === undefined || this.#startedAt === 0) return;
    this.#newLine();
    const passed = formatDuration(performance.now() - this.#startedAt).padStart(8);
    this.#line(this.#faint(`${passed}  imodel.${event.model_id}.events.${event.type}`));
  }

  chunk({ type, content }: Extract<StreamMessage, { kind: 'chunk' }>): void {
    if (type !== 'text') return;
    this.#streamed = true;
    this.#write(content ?? '');
  }

  reply(call: WireCall): void {
    if (!this.#streamed) this.#write(call.text);
    this.#newLine();
    const { duration, status } = call.execution;
    const took = duration === null ? '' : ` in ${formatDuration(duration * 1_000)}`;
    const used = call.usage === null ? '' : `, ${call.usage.input_tokens} + ${call.usage.output_tokens} tokens`;
    this.#line(call.failure === null ? `< ${status}${took}${used}` : `< ${status}: ${describeFailure(call.failure)}`);
  }

  state(state: ModelState, subject: string): void {
    this.#line('');
    this.#line(`> ${subject}`);
    for (const line of stateLines(state)) this.#line(`  ${line}`);
  }

  /** Wraps at words, indented. A blank is written with the word behind it, so that no line ends in one. */
  #write(text: string): void {
    for (const piece of text.match(/\s+|\S+/g) ?? []) {
      if (piece.trim() === '') {
        this.#blank = this.#column > 0;
        continue;
      }
      if (this.#column + piece.length >= width) this.#newLine();
      const before = this.#column === 0 ? '  ' : this.#blank ? ' ' : '';
      process.stdout.write(before + piece);
      this.#column += before.length + piece.length;
      this.#blank = false;
    }
  }

  #newLine(): void {
    if (this.#column > 0) process.stdout.write('\n');
    this.#column = 0;
    this.#blank = false;
  }

  #line(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  #faint(text: string): string {
    return faint(text, process.stdout);
  }
}

/** For programs: one object a line, each with a `type`. */
export const demoJson: DemoOutput = {
  model: (name, why) => print({ type: 'model', model: name, why }),
  request: (subject, prompt) => print({ type: 'request', subject, prompt }),
  event: (event) => print({ type: 'event', event }),
  chunk: (chunk) => print({ type: 'chunk', chunk }),
  reply: (call) => print({ type: 'reply', call }),
  state: (state) => print({ type: 'state', state }),
};

function print(value: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
