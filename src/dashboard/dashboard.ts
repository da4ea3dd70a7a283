import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Bus } from '../bus/bus.ts';
import { IModelError } from '../errors.ts';
import { type Asset, readAssets } from './assets.ts';
import { Feed, type FeedOptions } from './feed.ts';
import { openStream } from './stream-view.ts';

/** Pages that may watch at once. */
const maxViewers = 64;

/** What a dashboard watches, and how. */
export interface DashboardOptions extends FeedOptions {
  readonly bus: Bus;
}

/** The path of one call. */
interface CallPath {
  readonly Params: { readonly id: string; readonly callId: string };
}

/** Nothing but the files of this page runs, and no other site may show it in a frame. */
const pageHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-cache',
};

/**
 * Adds the live page to a server:
 *
 * - `GET /` and `GET /dashboard/<file>`: the page itself. It holds nothing of anybody's.
 * - `GET /dashboard/feed`: what all iModels of the bus do, as server-sent events.
 * - `GET /dashboard/imodels/<id>/calls/<call>/chunks`: a live stream from its first kept chunk, likewise.
 */
export async function addDashboard(server: FastifyInstance, options: DashboardOptions): Promise<void> {
  const { bus, slowReaderMs } = options;
  const assets = await readAssets();
  const feed = new Feed(bus, options);
  /** Answers with streams. */
  const open = new Set<ServerResponse>();
  for (const [name, asset] of assets) {
    const path = name === 'index.html' ? '/' : `/dashboard/${name}`;
    server.get(path, { config: { access: 'everyone' } }, async (request, reply) => sendAsset(request, reply, asset));
  }
  server.get('/dashboard/feed', async (_request, reply) => {
    if (feed.size >= maxViewers) {
      throw IModelError.of('overloaded', `${maxViewers} pages watch already`, { source: 'runtime' });
    }
    reply.hijack();
    feed.add(reply.raw);
    return reply;
  });
  server.get<CallPath>('/dashboard/imodels/:id/calls/:callId/chunks', async ({ params, raw }, reply) => {
    const stream = await openStream(bus, params.id, params.callId);
    if (raw.socket.destroyed) stream.close();
    open.add(reply.raw);
    reply.raw.once('close', () => open.delete(reply.raw));
    reply.hijack();
    stream.tell(reply.raw, slowReaderMs);
    return reply;
  });
  // Answers that do not end by themselves would keep the server open.
  server.addHook('preClose', async () => {
    feed.close();
    for (const raw of open) raw.end();
  });
}

function sendAsset(request: FastifyRequest, reply: FastifyReply, { body, type, etag }: Asset): unknown {
  reply.headers({ ...pageHeaders, etag });
  if (request.headers['if-none-match'] === etag) return reply.status(304).send();
  return reply.type(type).send(body);
}
