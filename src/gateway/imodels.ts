import type { FastifyInstance, FastifyRequest } from 'fastify';
import { controlRequest } from '../../schemas/wire.ts';
import type { iModel } from '../imodel.ts';
import { checked } from '../runtime/checked.ts';
import type { GatewayHost } from './gateway.ts';
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
 * What iModels do, and how they are told to do otherwise:
 *
 * - `GET /v1/imodels` and `GET /v1/imodels/<id>`: their state, as on the bus.
 * - `POST /v1/imodels/<id>/control`: `{ action }` as on the bus; answers with the state after it.
 * - `DELETE /v1/imodels/<id>/calls/<call>`, or `POST` to its `/cancel`: takes a call back wherever it stands; `cancelled` says whether it still
 *   lived.
 */
export function addModels(server: FastifyInstance, { models }: GatewayHost): void {
  const find = (id: string): iModel => {
    const model = models.get(id);
    if (model !== undefined) return model;
    throw new Refusal(404, 'model_not_found', `There is no iModel \`${id}\``, 'id');
  };
  server.get('/v1/imodels', async () => ({ object: 'list', data: [...models.values()].map(({ state }) => state) }));
  server.get<ModelPath>('/v1/imodels/:id', async ({ params }) => find(params.id).state);
  server.post<ModelPath>('/v1/imodels/:id/control', async ({ params, body }) => {
    const model = find(params.id);
    model.live.control(checked(controlRequest, body, 'request', 'invalid_request'));
    return model.state;
  });
  const cancel = async ({ params }: FastifyRequest<CallPath>) => {
    const call = find(params.id).live.findCall(params.callId);
    call?.cancel('taken back over HTTP');
    return { call_id: params.callId, cancelled: call !== undefined };
  };
  server.delete<CallPath>('/v1/imodels/:id/calls/:callId', cancel);
  server.post<CallPath>('/v1/imodels/:id/calls/:callId/cancel', cancel);
}
