import { byId, make, mark, write } from './dom.js';
import { readEvents } from './feed.js';
import { count } from './format.js';

/**
 * @typedef {{ seq: number, type: string, text: string, status?: string }} Piece
 * @typedef {import('./store.js').SeenCall} SeenCall
 */

/** Characters that stay on the page; the oldest make room. */
const maxShown = 200_000;

/** @type {Readonly<Record<string, string>>} */
const pieceClasses = { thinking: 'thinking', error: 'failed' };

/** Shows a live stream from its first chunk. */
export class StreamPanel {
  #panel = byId('stream');
  #title = byId('stream-title');
  #status = byId('stream-status');
  #text = byId('stream-text');
  #shown = 0;
  #missed = 0;
  /** @type {AbortController | null} */
  #reading = null;
  /** Where the focus was. @type {Element | null} */
  #before = null;

  constructor() {
    byId('stream-close').addEventListener('click', () => this.close());
  }

  /** Opens it for a call. @param {SeenCall} call */
  async open(call) {
    if (this.#reading === null) this.#before = document.activeElement;
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    this.#text.replaceChildren();
    this.#shown = 0;
    this.#missed = 0;
    this.#panel.hidden = false;
    document.body.classList.add('watching');
    write(this.#title, `${call.model} / ${call.id}`);
    this.#tell('watching');
    this.#title.focus();
    const path = `/dashboard/imodels/${encodeURIComponent(call.model)}/calls/${encodeURIComponent(call.id)}/chunks`;
    try {
      await readEvents(
        path,
        (_name, data) => this.#take(/** @type {{ pieces: Piece[], missed: number }} */ (data)),
        reading.signal,
      );
      if (this.#status.dataset.is === 'watching') this.#tell('the connection was lost');
    } catch (error) {
      if (!reading.signal.aborted) this.#tell(`cannot be watched: ${error instanceof Error ? error.message : error}`);
    }
  }

  /** Closes it; the call goes on. @returns Whether it was open. */
  close() {
    if (this.#reading === null) return false;
    this.#reading.abort();
    this.#reading = null;
    this.#panel.hidden = true;
    document.body.classList.remove('watching');
    if (this.#before instanceof HTMLElement && this.#before.isConnected) this.#before.focus();
    return true;
  }

  /** @param {{ readonly pieces: readonly Piece[], readonly missed: number }} told */
  #take({ pieces, missed }) {
    const isAtEnd = this.#text.scrollHeight - this.#text.scrollTop - this.#text.clientHeight < 40;
    this.#missed += missed;
    for (const { type, text, status } of pieces) {
      if (status !== undefined) this.#tell(text === '' ? status : `${status}: ${text}`);
      else if (type === 'text' || type === 'thinking') this.#append(text, pieceClasses[type] ?? '');
      else if (type === 'error') this.#append(`\n${text}\n`, 'failed');
      else if (text !== '') this.#append(`\n[${type.replace('_', ' ')}] ${text}\n`, 'aside');
    }
    if (isAtEnd) this.#text.scrollTop = this.#text.scrollHeight;
  }

  /** @param {string} text @param {string} style */
  #append(text, style) {
    const last = this.#text.lastElementChild;
    if (last !== null && last.className === style && (last.textContent ?? '').length < 4_096) last.append(text);
    else this.#text.append(make('span', { class: style }, text));
    this.#shown += text.length;
    while (this.#shown > maxShown && this.#text.firstElementChild !== null) {
      const first = this.#text.firstElementChild;
      this.#shown -= (first.textContent ?? '').length;
      first.remove();
    }
  }

  /** @param {string} text */
  #tell(text) {
    mark(this.#status, 'data-is', text);
    write(this.#status, this.#missed > 0 ? `${text}; ${count(this.#missed)} chunks were not kept` : text);
  }
}
