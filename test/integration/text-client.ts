import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/** A message as the server wrote it. */
export interface TextMessage {
  readonly subject: string;
  readonly replyTo: string | undefined;
  /** The header block, status line included; empty without one. */
  readonly headers: string;
  readonly body: Buffer;
}

/** Speaks the NATS text protocol over a bare socket: what any program in any language can do. */
export class TextClient {
  readonly #socket: Socket;
  readonly #inbox = `_INBOX.${randomUUID()}`;
  readonly #listeners = new Map<string, (message: TextMessage) => void>();
  readonly #waiting = new Map<string, (message: TextMessage) => void>();
  #pending: Buffer = Buffer.alloc(0);
  #count = 0;
  /** What the server complained of. */
  readonly errors: string[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (data) => this.#read(data));
    socket.on('error', (error) => void this.errors.push(error.message));
  }

  /** Connects and waits for the first PONG. */
  static async connect(url: string): Promise<TextClient> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    const client = new TextClient(socket);
    client.#send('CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n');
    client.subscribe(`${client.#inbox}.*`, (message) => {
      const resolve = client.#waiting.get(message.subject);
      client.#waiting.delete(message.subject);
      resolve?.(message);
    });
    await client.flush();
    return client;
  }

  subscribe(subject: string, listener: (message: TextMessage) => void): void {
    this.#count += 1;
    this.#listeners.set(String(this.#count), listener);
    this.#send(`SUB ${subject} ${this.#count}\r\n`);
  }

  publish(
    subject: string,
    body: string | Buffer,
    { replyTo = '', headers }: { replyTo?: string; headers?: Readonly<Record<string, string>> | undefined } = {},
  ): void {
    const bytes = Buffer.from(body);
    const target = replyTo === '' ? subject : `${subject} ${replyTo}`;
    if (headers === undefined) {
      this.#send(Buffer.concat([Buffer.from(`PUB ${target} ${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]));
      return;
    }
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this.publishRaw(subject, `NATS/1.0\r\n${lines.join('')}\r\n`, bytes, replyTo);
  }

  /** Publishes with a header block as it is given, whatever that may be. */
  publishRaw(subject: string, headers: string, body: string | Buffer, replyTo = ''): void {
    const [head, bytes] = [Buffer.from(headers), Buffer.from(body)];
    const line = Buffer.from(`HPUB ${subject} ${replyTo} ${head.length} ${head.length + bytes.length}\r\n`);
    this.#send(Buffer.concat([line, head, bytes, Buffer.from('\r\n')]));
  }

  /** The first reply; rejects after `timeoutMs`. */
  request(
    subject: string,
    body: string | Buffer,
    headers?: Readonly<Record<string, string>>,
    timeoutMs = 10_000,
  ): Promise<TextMessage> {
    const replyTo = `${this.#inbox}.${randomUUID()}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(replyTo);
        reject(new Error(`No reply on ${subject} within ${timeoutMs} ms; ${this.errors.join('; ')}`));
      }, timeoutMs);
      this.#waiting.set(replyTo, (message) => {
        clearTimeout(timer);
        resolve(message);
      });
      this.publish(subject, body, { replyTo, headers });
    });
  }

  /** Resolves when the server has everything sent before. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#pongs.push(resolve);
      this.#send('PING\r\n');
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  readonly #pongs: (() => void)[] = [];

  #send(data: string | Buffer): void {
    this.#socket.write(data);
  }

  #read(data: Buffer): void {
    this.#pending = this.#pending.length === 0 ? data : Buffer.concat([this.#pending, data]);
    for (;;) {
      const end = this.#pending.indexOf('\r\n');
      if (end < 0) return;
      const words = this.#pending.toString('utf8', 0, end).split(' ');
      const kind = words[0];
      if (kind === 'MSG' || kind === 'HMSG') {
        const size = Number(words.at(-1));
        if (this.#pending.length < end + 2 + size + 2) return;
        const payload = this.#pending.subarray(end + 2, end + 2 + size);
        this.#pending = this.#pending.subarray(end + 2 + size + 2);
        this.#deliver(words, payload);
        continue;
      }
      this.#pending = this.#pending.subarray(end + 2);
      if (kind === 'PING') this.#send('PONG\r\n');
      else if (kind === 'PONG') this.#pongs.shift()?.();
      else if (kind === '-ERR') this.errors.push(words.join(' '));
    }
  }

  #deliver(words: readonly string[], payload: Buffer): void {
    const [kind, subject = '', subscription = ''] = words;
    const headSize = kind === 'HMSG' ? Number(words.at(-2)) : 0;
    const replyTo = words.length === (kind === 'HMSG' ? 6 : 5) ? words[3] : undefined;
    const headers = payload.toString('utf8', 0, headSize);
    this.#listeners.get(subscription)?.({ subject, replyTo, headers, body: Buffer.from(payload.subarray(headSize)) });
  }
}

/** The body of a message, read as JSON. */
export function jsonOf(message: TextMessage): Record<string, unknown> {
  return JSON.parse(message.body.toString());
}
