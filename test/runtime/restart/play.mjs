/** What had begun when the iModel was restored, before anybody could watch. */
export function begunAtOnce(model, clock) {
  const begun = model.restoredCalls.filter(({ status }) => status === 'processing');
  return begun.map(({ id }) => [clock.now(), 'start', id]);
}

/** What every attempt of a call meets with, whichever of its endpoint it is. */
const failuresOf = {
  never: {},
  finally: { failures: Array(100).fill({ code: 'rejected' }) },
  always: { failures: Array(100).fill({ code: 'unavailable' }) },
  cools: { failures: Array(100).fill({ code: 'rate_limited', retryAfterMs: 300 }) },
};

/** Plays steps on a scripted iModel, and notes in order which calls start and how they end, with the time. */
export async function play(model, clock, steps, firstIndex, log) {
  const stop = model.observe((event) => {
    if (event.type === 'pre_invocation') log.push([clock.now(), 'start', event.call_id]);
    if (event.type === 'post_invocation') {
      const { call_id: id, status, failure, usage } = event;
      log.push([clock.now(), 'end', id, status, failure?.code ?? null, usage?.total_tokens ?? null]);
    }
  });
  for (const [index, step] of steps.entries()) {
    if (step.do === 'submit') {
      const { caller, priority, tokens, timeoutMs, delay, fails } = step;
      const request = {
        prompt: `call ${firstIndex + index}`,
        delay_ms: delay,
        estimatedTokens: tokens,
        ...failuresOf[fails],
      };
      const options = {
        callId: `c${firstIndex + index}`,
        caller,
        priority,
        ...(timeoutMs === null ? {} : { timeoutMs }),
      };
      model.invoke(request, options).catch(() => {});
    } else if (step.do === 'cancel') {
      for (const id of step.ids) model.call(id)?.cancel();
    } else if (step.do === 'pause') {
      model.pause();
    } else if (step.do === 'resume') {
      model.resume();
    } else {
      await clock.advance(step.ms);
    }
    await clock.advance(0);
  }
  stop();
}
