import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ModelState } from '../../schemas/state.ts';
import { controlRequest } from '../../schemas/wire.ts';
import type { CallerBook, HeldCall } from '../callers/caller-book.ts';
import type { iModel } from '../imodel.ts';
import { checked } from '../runtime/checked.ts';
import type { Directory } from './directory.ts';
import type { GatewayHost } from './gateway.ts';
import { ModelElsewhere } from './model-elsewhere.ts';
import { isOwn } from './ownership.ts';
import { Refusal } from './refusal.ts';

/** The path of one iModel. */
interface ModelPath {
  readonly Params: { readonly id: string };
}

/** The path of one call. */
interface CallPath {
  readonly Params: { readonly id: string; readonly callId: string };
}

/**
 * What iModels do, those of other processes on the bus too, and how they are told to do otherwise:
 *
 * - `GET /v1/imodels` and `GET /v1/imodels/<id>`: their state, as on the bus, and in `held` the requests that wait for the limits of their callers.
 * - `POST /v1/imodels/<id>/control`: `{ action }` as on the bus; answers with the state after it.
 * - `DELETE /v1/imodels/<id>/calls/<call>`, or `POST` to its `/cancel`: takes a call back wherever it stands; `cancelled` says whether it still
 *   lived. Whoever is no operator can do so with its own calls, and of others it is not told whether they live.
 */
export function addModels(
  server: FastifyInstance,
  { models }: GatewayHost,
  { directory, book }: { readonly directory: Directory; readonly book: CallerBook },
): void {
  const find = async (id: string): Promise<iModel> => {
    const model = models.get(id) ?? directory.known().get(id) ?? (await directory.listFor(id)).get(id);
    if (model !== undefined) return model;
    throw unknownId(id);
  };
  server.get('/v1/imodels', async () => {
    const all = [...models.values(), ...(await directory.list())];
    const held = book.held();
    return { object: 'list', data: all.map(({ state }) => withHeld(state, held)) };
  });
  server.get<ModelPath>('/v1/imodels/:id', async ({ params }) => {
    const model = await find(params.id);
    const state = model instanceof ModelElsewhere ? await model.refresh() : model.state;
    return withHeld(state, book.held());
  });
  server.post<ModelPath>('/v1/imodels/:id/control', async ({ params, body }) => {
    const model = await find(params.id);
    const request = checked(controlRequest, body, 'request', 'invalid_request');
    if (model instanceof ModelElsewhere) return model.remote.control(request);
    model.live.control(request);
    return model.state;
  });
  const cancel = async ({ params: { id, callId }, caller }: FastifyRequest<CallPath>) => {
    if (caller !== null && !caller.mayUse(id)) throw unknownId(id);
    const model = await find(id);
    const reason = 'taken back over HTTP';
    const isAnybody = caller === null || caller.isOperator;
    for (const one of isAnybody ? book : [caller]) {
      const held = one.heldFor(id, callId);
      held?.leave(reason);
      if (held !== undefined) return { call_id: callId, cancelled: true };
    }
    const call = model.live.findCall(callId);
    if (call === undefined && isAnybody && model instanceof ModelElsewhere) {
      return { call_id: callId, cancelled: await model.remote.cancel(callId, reason) };
    }
    if (!isOwn(call, caller)) return { call_id: callId, cancelled: false };
    call.cancel(reason);
    return { call_id: callId, cancelled: true };
  };
  const options = { config: { access: 'caller' } } as const;
  server.delete<CallPath>('/v1/imodels/:id/calls/:callId', options, cancel);
  server.post<CallPath>('/v1/imodels/:id/calls/:callId/cancel', options, cancel);
}

/** A state, with the requests that wait for the limits of their callers: they are no calls of its iModel yet. */
function withHeld(state: ModelState, all: readonly HeldCall[]) {
  const held = all.filter(({ model }) => model === state.id).map(({ model: _model, ...call }) => call);
  return { ...state, held: held.map((call) => ({ ...call, reason: 'caller_limit' })) };
}

function unknownId(id: string): Refusal {
  return new Refusal(404, 'model_not_found', `There is no iModel \`${id}\``, 'id');
}
