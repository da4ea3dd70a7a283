/** The latest events of one stream, by their ids from 1 on. */
export class EventRing {
  readonly #size: number;
  /** Only those from `#head` on are kept. */
  #events: string[] = [];
  #head = 0;
  #kept = 0;
  /** How many of the first events are kept no more. */
  dropped = 0;
  /** The id of the latest event that was taken. */
  #taken = 0;
  /** Characters of events that nobody has taken. */
  untaken = 0;

  /** @param size - Characters that are kept at least. */
  constructor(size: number) {
    this.#size = size;
  }

  add(event: string): void {
    this.#events.push(event);
    this.#kept += event.length;
    this.untaken += event.length;
    // What nobody has taken is not dropped.
    while (this.dropped < this.#taken && this.#kept - (this.#events[this.#head]?.length ?? 0) >= this.#size) {
      this.#kept -= this.#events[this.#head]?.length ?? 0;
      this.#events[this.#head] = '';
      this.#head += 1;
      this.dropped += 1;
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
  }

  /** The event of an id, which must be kept. */
  take(id: number): string {
    const event = this.#events[this.#head + id - this.dropped - 1] ?? '';
    if (id > this.#taken) {
      this.#taken = id;
      this.untaken -= event.length;
    }
    return event;
  }
}
