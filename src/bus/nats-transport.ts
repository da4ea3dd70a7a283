import type { NatsConnection } from 'nats';

/** The parts of nats-core 3.4's connection that its types do not show; read with care, so another version does no harm. */
interface Inside {
  readonly protocol?: {
    readonly transport?: { readonly socket?: { destroy(): void }; discard?(): void };
  };
}

/**
 * Breaks a connection on which nothing moves.
 *
 * The client ends a stale connection with an empty write and waits for it to be flushed. Behind unsent data, as when a server is
 * stopped or a network swallows packets, that never happens, and it never reconnects.
 */
export function breakConnection(connection: NatsConnection): void {
  (connection as Inside).protocol?.transport?.socket?.destroy();
}

/** Frees the socket of a closed connection: the client keeps one open that was still shaking hands. */
export function discardTransport(connection: NatsConnection): void {
  (connection as Inside).protocol?.transport?.discard?.();
}
