import type { Failure } from '../../../schemas/failure.ts';
import type { Endpoint, EndpointReply } from '../../endpoints/endpoint.ts';
import { IModelError } from '../../errors.ts';
import type { CallHooks } from '../../hooks/call-hooks.ts';
import type { ApiCalling } from './api-calling.ts';
import type { CallRun } from './call-run.ts';
import { giveAnswer } from './given-answer.ts';

/** The first attempt of a call that has hooks: its pre hook, and then what it lets pass. */
export class HookedRun {
  readonly #call: ApiCalling;
  readonly #run: CallRun;
  readonly #hooks: CallHooks;
  readonly #tell: (isRunning: boolean) => void;
  readonly #stop = new AbortController();
  isVetoed = false;

  /** @param tell - Hears when the hook begins and ends to run. */
  constructor(call: ApiCalling, run: CallRun, hooks: CallHooks, tell: (isRunning: boolean) => void) {
    this.#call = call;
    this.#run = run;
    this.#hooks = hooks;
    this.#tell = tell;
  }

  /** A veto is final: nothing may be sent after it, so it counts as if the caller had seen something. */
  get isDelivered(): boolean {
    return this.isVetoed || this.#run.isDelivered;
  }

  get isWithheld(): boolean {
    return this.#run.isWithheld;
  }

  /** @throws IModelError what the hook refused the call with, or what the endpoint throws. */
  async run(endpoint: Pick<Endpoint, 'run'>): Promise<EndpointReply> {
    if (this.#hooks.has('pre_invocation')) {
      this.#tell(true);
      try {
        const ask = () => this.#hooks.before(this.#call, this.#stop.signal);
        await (this.#call.span?.within(ask) ?? ask());
      } catch (error) {
        this.isVetoed = true;
        if (IModelError.is(error) && error.code === 'cancelled') this.#call.cancel(error);
        throw error;
      } finally {
        this.#tell(false);
      }
    }
    this.#hooks.passed = true;
    const { given } = this.#hooks;
    return given === null ? this.#run.on(endpoint) : giveAnswer(this.#run.sink, given);
  }

  stop(failure: Failure): void {
    this.#stop.abort(new IModelError(failure));
    this.#run.stop(failure);
  }

  release(): void {
    this.#run.release();
  }
}
