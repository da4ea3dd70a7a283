import type { ModelEventMessage } from '../../schemas/event.ts';
import { slotCount, slotMs, type TimelineSlot } from './frame.ts';

/** What happened in the last minutes, in stretches of equal length; stretches in which nothing happened are not there. */
export class Timeline {
  /** By model, then by the time of their beginning, oldest first. */
  readonly #slots = new Map<string, Map<number, TimelineSlot>>();
  readonly #changed = new Set<TimelineSlot>();

  *[Symbol.iterator](): Generator<TimelineSlot, void, undefined> {
    for (const slots of this.#slots.values()) yield* slots.values();
  }

  /** Notes a call's beginning or end. */
  note({ type, model_id: model, at, wait_ms: waitMs = 0, status }: ModelEventMessage): void {
    if (type === 'pre_invocation') {
      const slot = this.#slot(model, at);
      slot.starts += 1;
      slot.wait_ms = Math.max(slot.wait_ms, waitMs);
    } else if (type === 'post_invocation') {
      const slot = this.#slot(model, at);
      slot.ends += 1;
      if (status !== 'completed' && status !== 'cancelled') slot.errors += 1;
    }
  }

  /** What has changed since it was last asked for. */
  take(): TimelineSlot[] {
    const taken = [...this.#changed];
    this.#changed.clear();
    return taken;
  }

  /** Forgets an iModel. */
  drop(model: string): void {
    this.#slots.delete(model);
  }

  #slot(model: string, at: number): TimelineSlot {
    const slots = this.#slots.get(model) ?? new Map<number, TimelineSlot>();
    this.#slots.set(model, slots);
    const begun = Math.floor(at / slotMs) * slotMs;
    const slot = slots.get(begun) ?? { model, at: begun, starts: 0, ends: 0, errors: 0, wait_ms: 0 };
    slots.set(begun, slot);
    for (const oldest of slots.keys()) {
      if (slots.size <= slotCount && oldest > begun - slotCount * slotMs) break;
      slots.delete(oldest);
    }
    this.#changed.add(slot);
    return slot;
  }
}
