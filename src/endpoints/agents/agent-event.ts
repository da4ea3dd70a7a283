/** One line of a program's output, parsed: an object of unknown shape, read loosely. */
export type AgentEvent = Readonly<Record<string, unknown>>;

/** The object under a key, or an empty one. */
export function objectIn(record: unknown, key: string): AgentEvent {
  const value = isObject(record) ? record[key] : undefined;
  return isObject(value) ? value : {};
}

/** The text under a key; null when there is none. */
export function textIn(record: unknown, key: string): string | null {
  const value = isObject(record) ? record[key] : undefined;
  return typeof value === 'string' ? value : null;
}

/** The number under a key; null when there is none. */
export function numberIn(record: unknown, key: string): number | null {
  const value = isObject(record) ? record[key] : undefined;
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** The list under a key, or an empty one. */
export function listIn(record: unknown, key: string): readonly unknown[] {
  const value = isObject(record) ? record[key] : undefined;
  return Array.isArray(value) ? value : [];
}

/** Whether a parsed value is an object and no list. */
export function isObject(value: unknown): value is AgentEvent {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A tool's arguments, which some programs send as text. */
export function argumentsIn(value: unknown): { readonly input: AgentEvent; readonly rawArguments?: string } {
  if (isObject(value)) return { input: value };
  if (typeof value !== 'string') return { input: {} };
  try {
    const parsed: unknown = JSON.parse(value);
    if (isObject(parsed)) return { input: parsed };
  } catch {
    // Kept as text below.
  }
  return { input: {}, rawArguments: value };
}

/** The text of a content that is a string or a list of blocks; other blocks are left out. */
export function blockText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.flatMap((block) => (textIn(block, 'type') === 'text' ? [textIn(block, 'text') ?? ''] : [])).join('\n');
}

/** What an event is called in the journal and among the unknown ones of a response. */
export function eventName(event: AgentEvent): string {
  const type = textIn(event, 'type') ?? 'untyped';
  const subtype = textIn(event, 'subtype');
  return subtype === null ? type : `${type}/${subtype}`;
}
