import { z } from 'zod';
import { NdjsonReader } from '../http/ndjson.ts';
import { readVendorError, record } from '../http/vendor-error.ts';
import { decodeJson } from './decode-json.ts';
import { type Protocol, type SideRequests, VendorFault } from './protocol.ts';

/** How far the download of a model is. */
export interface PullProgress {
  readonly model: string;
  /** Ollama's word for what it is doing. */
  readonly status: string;
  /** Bytes of the layer that is being fetched. */
  readonly total?: number;
  /** Bytes of it that are there. */
  readonly completed?: number;
}

/** True to fetch a missing model, or a function that does so and hears of the progress. */
type Pull = boolean | ((progress: PullProgress) => void);

/** Downloads under way, by host and model: who comes later waits for the same one. */
const pulls = new Map<string, Promise<void>>();

/**
 * Fetches a model that Ollama does not have before the call is sent. Only when asked, with `pull: true` or `pull: (progress) => …`, since
 * models are gigabytes. Calls for the same model share one download; when the call that began it is aborted, one that waited begins anew.
 *
 * @see {@link https://docs.ollama.com/api/pull} (read 2026-11)
 */
export const pullFirst = {
  fields: {
    pull: z
      .union([z.boolean(), z.custom<(progress: PullProgress) => void>((value) => typeof value === 'function')])
      .optional(),
  },
  names: ['pull'],
  async around(side, exchange) {
    const { pull } = side.transport as { readonly pull?: Pull };
    const model = side.payload.model;
    if (pull !== undefined && pull !== false && typeof model === 'string') await ensureModel(side, model, pull);
    return exchange();
  },
} as const satisfies { fields: z.ZodRawShape; names: readonly string[]; around: NonNullable<Protocol['around']> };

async function ensureModel(side: SideRequests, model: string, pull: Pull): Promise<void> {
  const root = side.basePath.replace(/\/(v1|api)$/, '');
  const wanted = tagged(model);
  const listed = record(decodeJson(await side.send('GET', `${root}/api/tags`)));
  const models: readonly unknown[] = Array.isArray(listed?.models) ? listed.models : [];
  if (models.some((entry) => tagged(String(record(entry)?.model ?? record(entry)?.name ?? '')) === wanted)) return;
  const key = `${side.origin}${root} ${wanted}`;
  const running = pulls.get(key);
  if (running !== undefined) {
    const served = await beforeAbort(
      running.then(
        () => true,
        () => false,
      ),
      side.signal,
    );
    return served ? undefined : ensureModel(side, model, pull);
  }
  const fetched = fetchModel(side, `${root}/api/pull`, model, pull).finally(() => pulls.delete(key));
  pulls.set(key, fetched);
  return fetched;
}

/** The promise, unless the signal aborts first: then its reason. */
function beforeAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

async function fetchModel(side: SideRequests, path: string, model: string, pull: Pull): Promise<void> {
  let done = false;
  const lines = new NdjsonReader((line) => {
    const progress = record(JSON.parse(line));
    if (progress?.error !== undefined) throw new VendorFault(readVendorError(progress, line), progress);
    done = progress?.status === 'success';
    if (typeof pull === 'function')
      pull({ model, ...(progress as { status: string; total?: number; completed?: number }) });
  });
  const reader = {
    data(bytes: Buffer): boolean {
      lines.feed(bytes);
      return done;
    },
    end(): void {
      lines.end();
    },
  };
  await side.send('POST', path, { body: { model, stream: true }, reader });
  if (!done) throw new VendorFault({ message: `The download of ${model} ended early` }, undefined);
}

/** A name without a tag means the latest. */
function tagged(model: string): string {
  return model.includes(':') ? model : `${model}:latest`;
}
