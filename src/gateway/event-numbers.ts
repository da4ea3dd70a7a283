/** Gives the events of one stream their ids: 1, 2, 3 and so on, by which a reader that comes back says how far it was. */
export class EventNumbers {
  /** The id of the latest event, 0 before the first. */
  last = 0;

  /** @param text - Whole events, each with the empty line at its end. */
  number(text: string): string {
    let numbered = '';
    for (const event of eventsOf(text)) {
      this.last += 1;
      numbered += `id: ${this.last}\n${event}`;
    }
    return numbered;
  }
}

/** The events of a text one by one: most texts are one. */
export function eventsOf(text: string): string[] {
  const events: string[] = [];
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n\n', start) + 2;
    events.push(text.slice(start, end));
    start = end;
  }
  return events;
}
