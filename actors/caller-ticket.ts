import type { Failure } from '../schemas/failure.ts';
import type { Due } from './policy/heap.ts';
import type { CallerLine, QueueEntry } from './policy/queue.ts';
import type { Grant } from './policy/window.ts';

/** What a call uses: an estimate before it has ended, then what was reported. */
export interface CallerUse {
  readonly tokens: number;
  readonly costMicros: number;
}

/** What a {@link CallerTicket} is made from. */
export interface CallerTicketInput {
  readonly estimate: CallerUse;
  /** Higher goes first. */
  readonly priority: number;
  /** Epoch milliseconds until which it may wait. */
  readonly deadlineAt: number;
  /** It may begin. Called once at most, within {@link CallerGate.enter} too. */
  admit(): void;
  /** It may not. Called instead of {@link admit}. */
  refuse(failure: Failure): void;
}

/** One request at the gate of its caller. */
export class CallerTicket implements QueueEntry<CallerTicket>, Due {
  readonly caller = '';
  readonly cost = 1;
  readonly weight = 1;
  readonly priority: number;
  readonly estimate: CallerUse;
  readonly deadlineAt: number;
  readonly admit: () => void;
  readonly refuse: (failure: Failure) => void;
  /** Epoch milliseconds at which it came; -1 before. */
  enteredAt = -1;
  /** Whether it is under way. */
  isRunning = false;
  /** What it holds while it runs. */
  tokens: Grant | null = null;
  costs: Grant | null = null;
  next: CallerTicket | null = null;
  previous: CallerTicket | null = null;
  line: CallerLine<CallerTicket> | null = null;
  dueAt = Number.POSITIVE_INFINITY;
  heapIndex = -1;

  constructor(input: CallerTicketInput) {
    this.priority = input.priority;
    this.estimate = input.estimate;
    this.deadlineAt = input.deadlineAt;
    this.admit = () => input.admit();
    this.refuse = (failure) => input.refuse(failure);
  }
}
