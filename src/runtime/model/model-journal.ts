import { writeActor } from '../../../actors/actor-state.ts';
import type { CallRow } from '../../../actors/call-row.ts';
import type { Clock } from '../../../actors/clock.ts';
import type { ResiliencePolicy } from '../../../actors/dispatcher-input.ts';
import type { OwnerEvent, Recorder } from '../../../actors/recorder.ts';
import type { JournalOptions } from '../../../schemas/imodel.ts';
import type { JournalEntry } from '../../../schemas/journal.ts';
import type { Bus } from '../../bus/bus.ts';
import type { Endpoint, UpstreamNote } from '../../endpoints/endpoint.ts';
import { auditFile } from '../../hooks/audit-sinks.ts';
import type { ApiCalling } from '../calls/api-calling.ts';
import { defaultJournalSize, Journal } from '../journal/journal.ts';
import { JournalWriter } from '../journal/journal-writer.ts';
import { journalSink, journalStream } from '../journal-place.ts';
import { copyWithoutSecrets } from '../state/copy-without-secrets.ts';
import { secretsIn } from '../state/endpoint-recipe.ts';
import { writeRequest } from '../state/live-calls.ts';
import { writeValue } from '../state/written.ts';
import type { LiveActor } from './live-actor.ts';

/** Characters of a note in a journal. */
const longestNote = 2_000;

/** What a {@link ModelJournal} is made from. @internal */
export interface ModelJournalInit {
  /** What is to be written down, and where; null for nothing. */
  readonly options: JournalOptions | null;
  readonly modelId: string;
  /** Whose credentials are not written down. */
  readonly endpoint: Endpoint;
  readonly clock: Clock;
  readonly resilience: ResiliencePolicy;
  /** The machine whose inputs are written down, as it is now. */
  readonly actor: () => LiveActor;
  /** Whether its caller chose the id of a call. */
  readonly isNamed: (callId: string) => boolean;
}

/** What the actor of one iModel hears, written down in memory and where its options or its runtime say. @internal */
export class ModelJournal {
  readonly #init: ModelJournalInit;
  /** Null where nothing is written down. */
  readonly #journal: Journal | null;
  /** The stream that it is to go to once its iModel is served; null where there is none, or it does already. */
  #stream: string | null;
  #hasPlace: boolean;

  constructor(init: ModelJournalInit) {
    const { file, stream = null } = init.options ?? {};
    this.#init = init;
    this.#journal = init.options && this.#create(init.options);
    this.#stream = stream;
    this.#hasPlace = file !== undefined || stream !== null;
  }

  /** Writes what its actor hears; null where nothing is written down. */
  get recorder(): Recorder | null {
    return this.#journal?.recorder ?? null;
  }

  /** What memory holds of it, oldest first. */
  entries(): JournalEntry[] {
    return this.#journal?.entries() ?? [];
  }

  /** Begins, when the actor is there, with where that stands. */
  begin(): void {
    const { file } = this.#init.options ?? {};
    if (file === undefined) this.snapshot();
    else this.#journal?.attach(new JournalWriter(auditFile(file)));
  }

  /** Writes it to a place, unless it has one of its own or there is none; see `journalSink`. */
  writeTo(place: string, bus: Bus): void {
    if (this.#hasPlace) return;
    this.#hasPlace = true;
    this.#journal?.attach(new JournalWriter(journalSink(place, this.#init.modelId, bus)));
  }

  /** Writes it to the stream that its options name, if they do, once. @throws IModelError `config` on a bus without a server. */
  streamOn(bus: Bus): void {
    if (this.#stream === null) return;
    this.#journal?.attach(new JournalWriter(journalStream(this.#stream, this.#init.modelId, bus)));
    this.#stream = null;
  }

  /** Writes where the actor stands. */
  snapshot(): void {
    this.#journal?.snapshot();
  }

  /** Writes what the machine is about to be told by its owner. */
  tell(event: OwnerEvent): void {
    this.recorder?.tell(event, this.#init.clock.now());
  }

  /** Writes the beginning of what an upstream said. */
  note({ row }: ApiCalling, { kind, type, raw }: UpstreamNote): void {
    this.recorder?.note(row, kind, type, noteText(raw), this.#init.clock.now());
  }

  /** Resolves when all is written, or nothing more can be. */
  async close(): Promise<void> {
    await this.#journal?.close();
  }

  #create({ size = defaultJournalSize, requests = false }: JournalOptions): Journal {
    const { modelId, endpoint, clock, resilience, actor, isNamed } = this.#init;
    const requestOf = (row: CallRow, queuedAt: number) =>
      cleaned(writeRequest(row.handle as ApiCalling, queuedAt, isNamed(row.id)), secretsIn(endpoint));
    return new Journal({
      size,
      now: () => clock.now(),
      calls: () => actor().dispatcher.size,
      actor: () => {
        const { regions, dispatcher } = actor();
        const { limits } = dispatcher;
        const state = writeActor(regions.life, dispatcher);
        return { modelId, limits, resilience, state, rows: dispatcher.rows() };
      },
      requestOf: requests ? requestOf : undefined,
    });
  }
}

/** As a dict would show it. */
function cleaned(request: Record<string, unknown>, secrets: readonly string[]): Record<string, unknown> {
  return secrets.length === 0 ? request : (copyWithoutSecrets(request, secrets) as Record<string, unknown>);
}

function noteText(raw: unknown): string {
  const text = typeof raw === 'string' ? raw : JSON.stringify(writeValue(raw));
  return text.slice(0, longestNote);
}
