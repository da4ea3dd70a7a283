import { inject } from 'vitest';
import { connectNats, type NatsBus, type NatsOptions } from '../../src/bus/nats.ts';

/** Connects to the server that all tests share. Use subjects of your own: {@link uniqueId}. */
export function connectTestBus(options: NatsOptions = {}): Promise<NatsBus> {
  return connectNats({ servers: inject('natsUrl'), ...options });
}

/** A token that no other test uses. */
export function uniqueId(): string {
  return `t${Math.random().toString(36).slice(2, 12)}${(count++).toString(36)}`;
}

let count = 0;
