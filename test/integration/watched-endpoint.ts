import type { EndpointJob, EndpointReply } from '../../src/endpoints/endpoint.ts';
import { ScriptedEndpoint } from '../../src/endpoints/scripted.ts';

/** A scripted upstream that tells what runs on it: what a vendor would see, and bill. */
export class WatchedEndpoint extends ScriptedEndpoint {
  /** Ids of the calls that run now. */
  readonly running = new Set<string>();
  /** Ids of all calls, in the order of their start. */
  readonly started: string[] = [];
  /** When each call ended, epoch milliseconds. */
  readonly endedAt = new Map<string, number>();
  /** Chunks the source has written so far, of all calls. */
  chunks = 0;

  override async run(job: EndpointJob): Promise<EndpointReply> {
    this.running.add(job.callId);
    this.started.push(job.callId);
    try {
      return await super.run(this.#counted(job));
    } finally {
      this.running.delete(job.callId);
      this.endedAt.set(job.callId, Date.now());
    }
  }

  #counted(job: EndpointJob): EndpointJob {
    const { sink } = job;
    if (sink === null) return job;
    const write = (chunk: Parameters<typeof sink.write>[0]): boolean => {
      this.chunks += 1;
      return sink.write(chunk);
    };
    const { signal, callId, payload, transport } = job;
    return {
      callId,
      payload,
      transport,
      signal,
      sink: { write, onDrain: (resume) => sink.onDrain(resume) },
      sent: () => job.sent(),
      answered: () => job.answered(),
    };
  }
}
