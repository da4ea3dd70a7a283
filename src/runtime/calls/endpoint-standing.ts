import { createActor } from 'xstate';
import { type EndpointActor, type EndpointStatus, endpointMachine } from '../../../actors/endpoint.ts';
import type { Failure } from '../../../schemas/failure.ts';

/** Keeps the actor of one endpoint informed: how every run ended goes in, and only what changes its state goes on to it. */
export class EndpointStanding {
  readonly #actor: EndpointActor;
  #status: EndpointStatus = 'connecting';

  constructor() {
    this.#actor = createActor(endpointMachine);
    this.#actor.subscribe(({ value }) => {
      this.#status = value;
    });
    this.#actor.start();
  }

  get status(): EndpointStatus {
    return this.#status;
  }

  /** Takes note of how a run ended. */
  note(failure: Failure | null): void {
    const isLost = failure !== null && isUnreached(failure);
    if (isLost && this.#status !== 'degraded') this.#actor.send({ type: 'upstream.lost' });
    // A call that its own side ended says nothing of the upstream.
    else if (!isLost && this.#status !== 'ready' && failure?.code !== 'cancelled') {
      this.#actor.send({ type: 'upstream.answered' });
    }
  }

  /** Idempotent. */
  close(): void {
    if (this.#status === 'closed') return;
    this.#actor.send({ type: 'endpoint.close' });
  }
}

/** Whether a failure means that nobody was there to answer. */
function isUnreached(failure: Failure): boolean {
  if (failure.code === 'no_responder') return true;
  if (failure.code === 'timed_out') return failure.phase === 'connect';
  return failure.code === 'unavailable' && failure.status === undefined;
}
