import type { CallOptions } from '../../../schemas/imodel.ts';
import type { Fields } from '../../endpoints/endpoint.ts';
import { IModelError } from '../../errors.ts';
import { takeOverrides } from '../../hooks/overrides.ts';
import type { LiveModel } from '../model/live-model.ts';
import type { ApiCalling } from './api-calling.ts';
import { ChunkBuffer } from './chunk-buffer.ts';
import { KeptSink } from './kept-sink.ts';
import { ModelStream } from './model-stream.ts';
import { createAfterHooks, optionsAfterHooks } from './pre-create.ts';

/** Chunks a stream holds for a slow reader before it stops reading its upstream. */
const streamBufferSize = 256;

/**
 * Submits a streamed call and gives its chunks to be read.
 *
 * @param asked - What the call is made from, where somebody is to be asked before its creation; null to submit it as it is.
 * @internal
 */
export function openStream(live: LiveModel, call: ApiCalling, options: CallOptions, asked: Fields | null): ModelStream {
  const buffer = new ChunkBuffer(streamBufferSize, () => stream.call.chunkArrived(live.clock.now()));
  const stream = new ModelStream(call, buffer);
  const begin = (own: ApiCalling, left: CallOptions): void => {
    own.sink = live.keepsChunks ? new KeptSink(buffer) : buffer;
    own.onEnd(() => buffer.close());
    live.submit(own, left);
  };
  if (asked === null || !live.hooks.asksBeforeCreation) begin(call, options);
  else beginAfterHooks(live, stream, asked, options, begin);
  return stream;
}

/** A stream carries its call from the start, so that it is there before the hook; the hook's word comes before anything is sent. */
function beginAfterHooks(
  live: LiveModel,
  stream: ModelStream,
  asked: Fields,
  options: CallOptions,
  begin: (call: ApiCalling, left: CallOptions) => void,
): void {
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, options.signal]);
  const { call } = stream;
  const refuse = (error: unknown): void => {
    call.onEnd(() => stream.close());
    live.skip(call, IModelError.is(error) ? error : IModelError.of('internal', String(error), {}));
  };
  const { request, overrides } = takeOverrides(asked);
  const { caller, timeoutMs } = options;
  const askedAt = live.clock.now();
  const created = createAfterHooks({ live, request, overrides, create: () => call, stop: signal, caller, timeoutMs });
  const begun = created.then((own) => {
    stop.signal.throwIfAborted();
    if (own.row !== null) throw IModelError.of('conflict', `Call ${own.id} was started before`, {});
    stream.replaceCall(own);
    begin(own, optionsAfterHooks(options, live, askedAt));
  });
  stream.beginAfter({
    done: begun.catch(refuse),
    stop: () => stop.abort(IModelError.of('cancelled', 'The reader left the stream', {})),
  });
}
