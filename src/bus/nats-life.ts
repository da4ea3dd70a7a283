import { errors, type NatsConnection, type PermissionViolationError, type Status } from 'nats';
import type { IModelError } from '../errors.ts';
import type { BusStatus } from './bus.ts';
import { translate } from './nats-errors.ts';
import { breakConnection } from './nats-transport.ts';

/** What happens to a connection, in the words of a bus. */
export interface LifeListener {
  /** The connection is back; subscriptions are in place again. */
  connected(): void;
  disconnected(): void;
  /** The server does not let this user publish to, or subscribe to, a subject. */
  refused(error: IModelError, violation: PermissionViolationError): void;
  /** Something to be told, without a change of state of ours. */
  report(type: BusStatus['type'], detail: string, error?: IModelError): void;
  /** The client gave up; it does so only when closed, or on a fault of its own. */
  ended(): void;
}

/** Follows a client's reports until it is closed. */
export async function followConnection(
  connection: NatsConnection,
  secrets: readonly string[],
  listener: LifeListener,
): Promise<void> {
  for await (const status of connection.status()) tell(status, connection, secrets, listener);
  listener.ended();
}

function tell(status: Status, connection: NatsConnection, secrets: readonly string[], listener: LifeListener): void {
  switch (status.type) {
    case 'disconnect':
      listener.disconnected();
      listener.report('disconnected', status.server);
      return;
    case 'reconnecting':
      listener.report('reconnecting', 'trying the next server');
      return;
    case 'reconnect':
      listener.connected();
      listener.report('connected', status.server);
      return;
    case 'staleConnection':
      listener.report('error', 'the server does not answer pings');
      breakConnection(connection);
      return;
    case 'ldm':
      listener.report('lame_duck', `${status.server} is about to shut down`);
      return;
    case 'error':
      tellError(status.error, connection, secrets, listener);
      return;
    default:
      return;
  }
}

function tellError(error: Error, connection: NatsConnection, secrets: readonly string[], listener: LifeListener): void {
  if (error instanceof errors.PermissionViolationError) {
    const verb = error.operation === 'publish' ? 'publish to' : 'subscribe to';
    listener.refused(translate(error, secrets, `${verb} \`${error.subject}\``), error);
    return;
  }
  const failure = translate(error, secrets, `stay connected to ${connection.getServer()}`);
  listener.report(/slow consumer/i.test(error.message) ? 'slow_consumer' : 'error', failure.message, failure);
}
