import type { ApiCalling } from '../calls/api-calling.ts';

/** What has come to one subject of a served iModel so far, as the statistics of a NATS service tell it. */
export class RequestTally {
  /** Requests that came, those that were refused too. */
  requests = 0;
  /** Requests that were refused, or whose call failed. */
  errors = 0;
  /** Message of the latest error; empty when there was none. */
  lastError = '';
  /** Milliseconds that calls ran, all together; without the time they waited. */
  processingMs = 0;

  refused(error: unknown): void {
    this.errors += 1;
    this.lastError = error instanceof Error ? error.message : String(error);
  }

  ended({ duration, failure }: ApiCalling): void {
    if (duration !== null) this.processingMs += duration * 1_000;
    if (failure === null) return;
    this.errors += 1;
    this.lastError = failure.message;
  }
}
