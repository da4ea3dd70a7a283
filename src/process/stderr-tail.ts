// Colour and cursor sequences (CSI) and titles (OSC), as terminals read them: ECMA-48. Built from code points: a literal escape is a lint error.
const escapeCharacter = String.fromCharCode(0x1b);
const bellCharacter = String.fromCharCode(0x07);
const terminalSequences = new RegExp(
  `${escapeCharacter}(?:\\[[0-?]*[ -/]*[@-~]|\\][^${bellCharacter}${escapeCharacter}]*(?:${bellCharacter}|${escapeCharacter}\\\\))`,
  'g',
);

/** Removes what only a terminal understands: colours, cursor moves, titles. */
export function stripTerminalSequences(text: string): string {
  return text.replace(terminalSequences, '');
}

/** Replaces every secret in a text by `***`. Values shorter than 6 characters are left, since they would hit ordinary words. */
export function maskSecrets(text: string, secrets: readonly string[]): string {
  let masked = text;
  for (const secret of secrets) if (secret.length >= 6) masked = masked.replaceAll(secret, '***');
  return masked;
}

/** Keeps the end of what a program complained about: the last bytes tell why it died, the first ones are greetings. */
export class StderrTail {
  readonly #limitBytes: number;
  readonly #secrets: readonly string[];
  #pieces: Buffer[] = [];
  #sizeBytes = 0;

  /**
   * @param limitBytes - How much is kept.
   * @param secrets - Texts that must never show up in an error.
   */
  constructor(limitBytes: number, secrets: readonly string[]) {
    this.#limitBytes = limitBytes;
    this.#secrets = secrets;
  }

  /** Takes the next bytes; older ones fall out once twice the limit has gathered, so that the joining is rare. */
  push(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#sizeBytes += bytes.length;
    if (this.#sizeBytes > 2 * this.#limitBytes) this.#trim();
  }

  /** The tail as text, without terminal sequences and secrets, ends trimmed. */
  text(): string {
    this.#trim();
    const text = stripTerminalSequences(Buffer.concat(this.#pieces).toString('utf8')).trim();
    return maskSecrets(text, this.#secrets);
  }

  #trim(): void {
    if (this.#sizeBytes <= this.#limitBytes) return;
    const whole = Buffer.concat(this.#pieces);
    // A copy: a view would keep everything alive.
    this.#pieces = [Buffer.from(whole.subarray(whole.length - this.#limitBytes))];
    this.#sizeBytes = this.#limitBytes;
  }
}
