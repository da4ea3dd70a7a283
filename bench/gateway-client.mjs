// A client that speaks just enough HTTP to cost little beside what it measures.
import { connect } from 'node:net';

const messages = [{ role: 'user', content: 'Tell me something about the sea.' }];

/** Whether an answer is whole, of which this came last. */
function isWhole(text, data) {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, head))?.[1];
  return length === undefined ? data.endsWith('0\r\n\r\n') : text.length >= head + 4 + Number(length);
}

/** One kept connection to one front. */
export class Connection {
  #socket;
  #requests;
  #take = () => {};
  #fail = () => {};

  constructor({ url, headers }) {
    const { hostname, port, host } = new URL(url);
    this.#requests = [false, true].map((stream) => {
      const body = JSON.stringify({ model: 'm', messages, stream });
      const all = { host, 'content-type': 'application/json', 'content-length': body.length, ...headers };
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
      return `POST /v1/chat/completions HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
    });
    this.#socket = connect({ port: Number(port), host: hostname, noDelay: true });
    this.#socket.on('data', (data) => this.#take(data));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('The connection closed')));
  }

  /** Resolves with the milliseconds until the first event or the whole body, and with everything that came. */
  send(stream) {
    const begin = performance.now();
    return new Promise((resolve, reject) => {
      const pieces = [];
      let first = 0;
      this.#fail = reject;
      this.#take = (data) => {
        const piece = data.toString('latin1');
        pieces.push(piece);
        if (first === 0 && piece.includes('"content":"')) first = performance.now() - begin;
        // Only what is small comes with its length; streams are looked at by their ends, so that long ones cost no more.
        if (pieces.length > 2 && !piece.endsWith('\r\n\r\n')) return;
        const text = pieces.join('');
        if (!isWhole(text, piece)) return;
        if (text.startsWith('HTTP/1.1 200')) resolve({ first, text });
        else reject(new Error(text));
      };
      this.#socket.write(this.#requests[stream ? 1 : 0]);
    });
  }

  close() {
    this.#fail = () => {};
    this.#socket.destroy();
  }
}
