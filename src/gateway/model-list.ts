import type { FastifyInstance } from 'fastify';
import type { iModel } from '../imodel.ts';
import type { Directory } from './directory.ts';
import type { GatewayHost } from './gateway.ts';
import { Refusal } from './refusal.ts';

/**
 * `GET /v1/models` and `GET /v1/models/<id>`: the iModels, those of other processes after those of this one, in a form that the clients of OpenAI and of Anthropic both read.
 *
 * A caller sees those that it may use.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/models} and {@link https://docs.claude.com/en/api/models-list} (read 2026-11)
 */
export function addModelList(server: FastifyInstance, { models }: GatewayHost, directory: Directory): void {
  const options = { config: { access: 'caller' } } as const;
  server.get('/v1/models', options, async ({ caller }) => {
    const all = [...models.values(), ...(await directory.list())];
    const data = all.filter(({ id }) => caller === null || caller.mayUse(id)).map(describeModel);
    return { object: 'list', data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
  });
  server.get<{ Params: { id: string } }>('/v1/models/:id', options, async ({ params, caller }) => {
    const { id } = params;
    const isHidden = caller !== null && !caller.mayUse(id);
    const model = isHidden
      ? undefined
      : (models.get(id) ?? directory.known().get(id) ?? (await directory.listFor(id)).get(id));
    if (model === undefined) throw new Refusal(404, 'model_not_found', `There is no iModel \`${params.id}\``, 'model');
    return describeModel(model);
  });
}

function describeModel({ id, modelName, createdAt, endpoint }: iModel) {
  return {
    id,
    object: 'model',
    type: 'model',
    display_name: modelName === '' ? id : `${endpoint.config.provider}/${modelName}`,
    created: Math.floor(createdAt),
    created_at: new Date(createdAt * 1_000).toISOString(),
    owned_by: endpoint.config.provider,
  };
}
