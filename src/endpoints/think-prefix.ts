/**
 * Splits reasoning that stands in front of an answer as `<think>…</think>`. An unclosed tag makes everything reasoning.
 *
 * @param tag - The tag's name, without brackets.
 */
export function splitThinkPrefix(content: string, tag: string): { thinking: string; text: string } {
  const [opening, closing] = [`<${tag}>`, `</${tag}>`];
  const trimmed = content.trimStart();
  if (!trimmed.startsWith(opening)) return { thinking: '', text: content };
  const end = trimmed.indexOf(closing);
  if (end === -1) return { thinking: trimmed.slice(opening.length).trim(), text: '' };
  return {
    thinking: trimmed.slice(opening.length, end).trim(),
    text: trimmed.slice(end + closing.length).trimStart(),
  };
}

/** {@link splitThinkPrefix} for a text that comes in pieces, cut anywhere. */
export class ThinkPrefixSplitter {
  readonly #opening: string;
  readonly #closing: string;
  readonly #onThinking: (text: string) => void;
  readonly #onText: (text: string) => void;
  #stage: 'start' | 'thinking' | 'between' | 'text' = 'start';
  #held = '';

  constructor(tag: string, onThinking: (text: string) => void, onText: (text: string) => void) {
    this.#opening = `<${tag}>`;
    this.#closing = `</${tag}>`;
    this.#onThinking = onThinking;
    this.#onText = onText;
  }

  /** Takes the next piece and passes on what is certain. */
  write(piece: string): void {
    if (this.#stage === 'text') {
      this.#onText(piece);
      return;
    }
    this.#held += piece;
    if (this.#stage === 'start') this.#start();
    if (this.#stage === 'thinking') this.#think();
    if (this.#stage === 'between') this.#between();
  }

  /** Passes on what was held back. */
  end(): void {
    if (this.#held === '') return;
    if (this.#stage === 'thinking') this.#onThinking(this.#held);
    else if (this.#stage === 'start') this.#onText(this.#held);
    this.#held = '';
  }

  #start(): void {
    const trimmed = this.#held.trimStart();
    if (trimmed.startsWith(this.#opening)) {
      this.#stage = 'thinking';
      this.#held = trimmed.slice(this.#opening.length).trimStart();
    } else if (!this.#opening.startsWith(trimmed)) {
      this.#stage = 'text';
      this.#release(this.#onText, this.#held.length);
    }
  }

  #think(): void {
    const end = this.#held.indexOf(this.#closing);
    if (end !== -1) {
      this.#release(this.#onThinking, end);
      this.#held = this.#held.slice(this.#closing.length);
      this.#stage = 'between';
      return;
    }
    // The tail may be the beginning of the closing tag.
    const lastBracket = this.#held.lastIndexOf('<');
    const tailMayClose = lastBracket !== -1 && this.#closing.startsWith(this.#held.slice(lastBracket));
    this.#release(this.#onThinking, tailMayClose ? lastBracket : this.#held.length);
  }

  #between(): void {
    this.#held = this.#held.trimStart();
    if (this.#held === '') return;
    this.#stage = 'text';
    this.#release(this.#onText, this.#held.length);
  }

  #release(to: (text: string) => void, length: number): void {
    if (length > 0) to(this.#held.slice(0, length));
    this.#held = this.#held.slice(length);
  }
}
