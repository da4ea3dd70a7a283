import type { EndpointReply } from '../../endpoints/endpoint.ts';
import { addSpending, nothingSpent, type Spending } from '../../tokens/spending.ts';
import type { ApiCalling } from './api-calling.ts';
import type { CallOwner } from './call-owner.ts';

/** What the attempts of one call have brought and used. @internal */
export class AttemptResults {
  readonly #call: ApiCalling;
  readonly #owner: Pick<CallOwner, 'costOf'>;
  #reply: EndpointReply | null = null;
  /** What attempts have used of whose replies none is kept. */
  #spentBefore: Spending = nothingSpent;

  constructor(call: ApiCalling, owner: Pick<CallOwner, 'costOf'>) {
    this.#call = call;
    this.#owner = owner;
  }

  /** What came last; null when only usage did. */
  get reply(): EndpointReply | null {
    return this.#reply;
  }

  /** Takes a reply in place of the one before, whose usage stays counted. */
  bring(reply: EndpointReply): void {
    if (this.#reply !== null) this.alsoSpent(this.#spentOn(this.#reply));
    this.#reply = reply;
  }

  /** Counts what was used beside what is brought. */
  alsoSpent(spending: Spending): void {
    this.#spentBefore = addSpending(this.#spentBefore, spending);
  }

  /** What all attempts have used together. */
  get spending(): Spending {
    return this.#reply === null ? this.#spentBefore : addSpending(this.#spentBefore, this.#spentOn(this.#reply));
  }

  #spentOn({ view: { usage }, cost = this.#owner.costOf(this.#call, usage) }: EndpointReply): Spending {
    return { usage, cost };
  }
}
