import { type ModelEventMessage, modelEvent } from '../../../schemas/event.ts';
import type { Bus, Message } from '../../../src/bus/bus.ts';

/** Everything that is told on a subject from now on. */
export async function hear(bus: Bus, pattern: string): Promise<Message[]> {
  const heard: Message[] = [];
  bus.subscribe(pattern, (message) => void heard.push(message));
  await bus.flush();
  return heard;
}

/** The events of a model that were heard, checked. */
export function events(heard: readonly Message[]): ModelEventMessage[] {
  return heard.map((message) => modelEvent.parse(message.value()));
}
