import { IModelError } from '../../errors.ts';

/** What a store holds of one iModel. */
export interface KeptState {
  /** Where it is, for messages to people. */
  readonly place: string;
  /** The dict, as JSON. */
  readonly snapshot: string;
  /** Entries of the logs from the snapshot's generation on, oldest first. */
  readonly log: readonly string[];
}

/**
 * Where a runtime keeps the states of its iModels: of each a snapshot, and a log of what must not be forgotten since.
 *
 * Logs are numbered. A snapshot names the log that goes on from it, which begins before the snapshot is written: whenever the process dies,
 * the last snapshot and all logs from its own on tell everything.
 */
export interface StateStore {
  /** What it holds of an iModel; null when nothing. To be called first. */
  read(id: string): Promise<KeptState | null>;
  /** Begins the next log. Entries go there from now on. @returns Its number, for the snapshot. */
  turn(id: string): number;
  /**
   * Adds an entry to the present log. @returns What must be waited for until it outlives this process; null when it does already.
   * @throws Error when it cannot be kept.
   */
  append(id: string, entry: string): Promise<void> | null;
  /** Replaces the snapshot, at once or not at all, and forgets older logs. */
  write(id: string, generation: number, snapshot: string): Promise<void>;
  /** To be called when nothing is written any more. */
  close(): Promise<void>;
}

/** The generation that a snapshot names; 0 when it names none. */
export function generationOf({ snapshot, place }: Pick<KeptState, 'snapshot' | 'place'>): number {
  const { state } = parseSnapshot(snapshot, place) as { readonly state?: { readonly generation?: unknown } };
  return typeof state?.generation === 'number' ? state.generation : 0;
}

/** A snapshot as data. @throws IModelError `config`, naming the place, when it is cut off or no JSON at all. */
export function parseSnapshot(snapshot: string, place: string): object {
  let value: unknown;
  try {
    value = JSON.parse(snapshot);
  } catch (cause) {
    const message = `${place} is no JSON, or only the beginning of one: ${(cause as Error).message}`;
    throw IModelError.of('config', message, { field: place }, { cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw IModelError.of('config', `Expected ${place} to hold the dict of an iModel`, { field: place });
}
