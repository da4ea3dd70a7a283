import type { Endpoint } from '../../endpoints/endpoint.ts';

/** The agent session that the next call of an iModel resumes: kept by its endpoint, or by its metadata where that keeps none. @internal */
export class ProviderSession {
  readonly #endpoint: Endpoint;
  readonly #metadata: Record<string, unknown>;

  /** @param metadata - The iModel's own; a `session_id` in it is where an endpoint begins that has none yet. */
  constructor(endpoint: Endpoint, metadata: Record<string, unknown>) {
    this.#endpoint = endpoint;
    this.#metadata = metadata;
    const { session_id: sessionId } = metadata;
    if (endpoint.sessionId === null && typeof sessionId === 'string') endpoint.sessionId = sessionId;
  }

  /** Null when there is none. */
  get id(): string | null {
    const { sessionId: kept } = this.#endpoint;
    if (kept !== undefined) return kept;
    const { session_id: sessionId } = this.#metadata;
    return typeof sessionId === 'string' ? sessionId : null;
  }

  /** Goes on with a session that was begun elsewhere. */
  resume(sessionId: string): void {
    if (this.#endpoint.sessionId === undefined) this.#metadata.session_id = sessionId;
    else this.#endpoint.sessionId = sessionId;
  }

  /** Hears which session a reply belongs to. Endpoints that keep sessions know better which of several calls confirmed the last one. */
  confirm(sessionId: string): void {
    if (this.#endpoint.sessionId === undefined) this.#metadata.session_id = sessionId;
  }
}
