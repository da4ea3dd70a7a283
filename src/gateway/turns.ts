/** How many requests are begun in one turn of the event loop: so many take about a millisecond. */
const mostInTurn = 8;

/**
 * Spreads requests that come at once over turns of the event loop. Whatever is written to an upstream leaves between two turns, and whatever
 * streams is read there: without this the first of a hundred requests would be sent on when the last of them has been read, and all streams
 * would stand still until then.
 */
export class Turns {
  /** In the order of their coming. */
  #waiting: (() => void)[] = [];
  #begun = 0;

  /** Begins a request: at once, unless this turn has had its share. */
  begin(request: () => void): void {
    if (this.#begun === mostInTurn) {
      this.#waiting.push(request);
      return;
    }
    if (this.#begun === 0) setImmediate(() => this.#next());
    this.#begun += 1;
    request();
  }

  #next(): void {
    this.#begun = 0;
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = waiting.slice(mostInTurn);
    for (const request of waiting.slice(0, mostInTurn)) this.begin(request);
  }
}
