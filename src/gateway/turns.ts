/** How many requests are begun in one turn of the event loop, at least: so many take about a millisecond. */
const leastInTurn = 8;
/** How many are begun for each millisecond that the turn before has taken: running streams must not starve those that come. */
const perMillisecond = 4;

/**
 * Spreads requests that come at once over turns of the event loop. Whatever is written to an upstream leaves between two turns, and whatever
 * streams is read there: without this the first of a hundred requests would be sent on when the last of them has been read, and all streams
 * would stand still until then.
 */
export class Turns {
  /** In the order of their coming. */
  #waiting: (() => void)[] = [];
  /** How many more may be begun in this turn. */
  #left = leastInTurn;
  /** When this turn began, on the clock of `performance`; 0 while nothing was begun in it. */
  #since = 0;

  /** Begins a request: at once, unless this turn has had its share. */
  begin(request: () => void): void {
    if (this.#left === 0) {
      this.#waiting.push(request);
      return;
    }
    this.#left -= 1;
    if (this.#since === 0) this.#open();
    request();
  }

  #open(): void {
    this.#since = performance.now();
    setImmediate(() => this.#next());
  }

  #next(): void {
    this.#left = Math.max(leastInTurn, Math.floor((performance.now() - this.#since) * perMillisecond));
    this.#since = 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const request of waiting) this.begin(request);
  }
}
