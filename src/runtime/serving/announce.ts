import { z } from 'zod';
import type { Bus } from '../../bus/bus.ts';
import { type AnnouncedService, announceService, type ServiceEndpoint } from '../../bus/service.ts';
import { hostQueue, subjects } from '../../bus/subjects.ts';
import { version } from '../../version.ts';
import type { RequestTally } from './request-tally.ts';
import { schemaId } from './schema-id.ts';
import type { Servable } from './serve.ts';

/** Names of the schemas in the document that `imodel asyncapi` writes. */
const endpointSchemas = {
  invoke: { request_schema: schemaId('callRequest'), reply_schema: schemaId('wireCall') },
  stream: { request_schema: schemaId('callRequest'), reply_schema: schemaId('streamReply') },
} as const;

/** By subject. */
type ServedTally = Readonly<Record<'invoke' | 'stream', RequestTally>>;

/**
 * Makes a served iModel known as a NATS service of the name `imodel`, so that `imodel ls` and every NATS tool finds it. Its statistics
 * count the requests of each subject, and show its queue and its budget.
 *
 * @param tally - What came to each subject.
 * @param node - Which process it is, for the metadata.
 */
export function announceModel(model: Servable, bus: Bus, node: string, tally: ServedTally): AnnouncedService {
  const { id, live } = model;
  const startedAt = live.clock.now();
  const endpoint = (name: 'invoke' | 'stream'): ServiceEndpoint => ({
    name,
    subject: subjects[name](id),
    queue: hostQueue,
    metadata: { ...endpointSchemas[name], ...fieldsOf(model) },
    counts: () => {
      const { requests, errors, lastError, processingMs } = tally[name];
      const { mode, queue, running, budget } = model.state;
      return { requests, errors, lastError, processingMs, data: { mode, queue, running, budget } };
    },
  });
  const { provider, endpoint: protocol, model: modelName } = model.state;
  return announceService(bus, {
    name: 'imodel',
    version,
    description: `The iModel ${id}`,
    metadata: { id, node, provider, model: modelName, protocol, ...(model.endpoint.isCli ? { agent: 'true' } : {}) },
    endpoints: [endpoint('invoke'), endpoint('stream')],
    startedAt,
  });
}

/** Names of what a request may hold, for those who make requests for others. What goes beside the body may name files of this machine. */
function fieldsOf({ endpoint }: Servable): { readonly request_fields?: string } {
  const { requestOptions, transportFields } = endpoint;
  if (!(requestOptions instanceof z.ZodObject)) return {};
  const names = Object.keys(requestOptions.shape).filter((name) => !transportFields.includes(name));
  return { request_fields: names.join(',') };
}
