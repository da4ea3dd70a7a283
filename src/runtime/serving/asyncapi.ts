import { endpointQueue, hostQueue } from '../../bus/subjects.ts';
import { version } from '../../version.ts';
import { type WireSchemaName, wireJsonSchemas } from './wire-schemas.ts';

/** One subject of the contract, seen from the program that serves it. */
interface Subject {
  readonly address: string;
  readonly says: string;
  /** Whether the serving program hears or says it. */
  readonly action: 'receive' | 'send';
  readonly messages: readonly WireSchemaName[];
  readonly headers?: WireSchemaName;
  readonly reply?: readonly WireSchemaName[];
  /** The group in which the members share the messages; everybody hears them otherwise. */
  readonly queue?: string;
}

const subjects: Readonly<Record<string, Subject>> = {
  invoke: {
    address: 'imodel.{id}.invoke',
    says: 'Runs a call. The reply comes when it has ended. A plain text is one user message.',
    action: 'receive',
    messages: ['callRequest'],
    headers: 'requestHeaders',
    reply: ['wireCall', 'failureReply'],
    queue: hostQueue,
  },
  stream: {
    address: 'imodel.{id}.stream',
    says: 'Runs a call and streams its chunks. The reply names the subject on which they come.',
    action: 'receive',
    messages: ['callRequest'],
    headers: 'requestHeaders',
    reply: ['streamReply', 'failureReply'],
    queue: hostQueue,
  },
  chunks: {
    address: 'imodel.{id}.chunks.{call}',
    says: 'The messages of one stream, numbered from 1 without gaps, the last of the kind `end`; between them signs of life.',
    action: 'send',
    messages: ['streamMessage', 'aliveMessage'],
    headers: 'outcomeHeaders',
  },
  cancel: {
    address: 'imodel.{id}.cancel',
    says: 'Takes a call back. Idempotent.',
    action: 'receive',
    messages: ['cancelRequest'],
    reply: ['cancelReply', 'failureReply'],
  },
  ctl: {
    address: 'imodel.{id}.ctl.{node}',
    says: 'What the reader of a stream tells the one node that holds it. Only mistakes are answered.',
    action: 'receive',
    messages: ['ctlRequest'],
    reply: ['failureReply'],
  },
  resume: {
    address: 'imodel.{id}.resume',
    says: 'Asks for the messages of a stream after a number. The node that holds it answers; others stay silent.',
    action: 'receive',
    messages: ['resumeRequest'],
    reply: ['resumeReply', 'failureReply'],
  },
  state: {
    address: 'imodel.{id}.state',
    says: 'What the iModel is doing: one reply from every node, which tells of single calls where the body asks for them.',
    action: 'receive',
    messages: ['stateRequest'],
    reply: ['nodeState'],
  },
  snapshot: {
    address: 'imodel.{id}.snapshot',
    says: 'The iModel as a dictionary with its live state, the requests of waiting calls included: one reply from every node. The body means nothing.',
    action: 'receive',
    messages: [],
    reply: ['modelDict', 'failureReply'],
  },
  explain: {
    address: 'imodel.{id}.explain',
    says: 'Why a call waited, how long for which reason, and what ended it: from what the node remembers of its journal. The node that knows the call answers at once, others refuse a moment later. Holds no prompts.',
    action: 'receive',
    messages: ['explainRequest'],
    reply: ['nodeExplanation', 'failureReply'],
  },
  control: {
    address: 'imodel.{id}.control',
    says: 'Pauses, resumes, drains or closes the iModel, changes its limits or forgets what was used of them.',
    action: 'receive',
    messages: ['controlRequest'],
    reply: ['modelState', 'failureReply'],
  },
  events: {
    address: 'imodel.{id}.events.{type}',
    says: 'What happens to the iModel and its calls. Never holds prompts or answers.',
    action: 'send',
    messages: ['modelEvent'],
  },
  hooks: {
    address: 'imodel.{id}.hooks.{point}',
    says: 'Asks an interceptor about a call or the chunks of its answer, where the iModel was told to. The first reply counts. Holds prompts and answers.',
    action: 'send',
    messages: ['hookAsk'],
    reply: ['hookAnswer', 'failureReply'],
  },
  namedHooks: {
    address: 'imodel.{id}.hooks.{point}.{hook}',
    says: 'As above, where several are asked at one point.',
    action: 'send',
    messages: ['hookAsk'],
    reply: ['hookAnswer', 'failureReply'],
  },
  endpointCall: {
    address: 'endpoint.{name}.call',
    says: 'Runs a request on an endpoint that lives elsewhere; its chunks and outcome come on `endpoint.{name}.out.{call}`.',
    action: 'receive',
    messages: ['endpointRequest'],
    reply: ['endpointAccepted', 'failureReply'],
    queue: endpointQueue,
  },
  endpointCancel: {
    address: 'endpoint.{name}.cancel',
    says: 'Takes a request back.',
    action: 'receive',
    messages: ['endpointCancel'],
  },
  endpointCtl: {
    address: 'endpoint.{name}.ctl.{node}',
    says: 'Credit for the node that runs a request, and questions for what was lost.',
    action: 'receive',
    messages: ['endpointControl'],
    reply: ['endpointReplay', 'failureReply'],
  },
  endpointOut: {
    address: 'endpoint.{name}.out.{call}',
    says: 'What an endpoint brings for one request: numbered from 1 without gaps, the last of the kind `end`.',
    action: 'send',
    messages: ['endpointMessage', 'aliveMessage'],
  },
};

const parameters: Readonly<Record<string, string>> = {
  id: 'The id of an iModel: 1 to 64 of `A-Z a-z 0-9 _ -`.',
  call: 'The id of a call.',
  node: 'The process that holds the stream, as its reply named it.',
  type: 'The type of the event.',
  point: '`pre_event_create`, `pre_invocation`, `post_invocation` or `chunk`.',
  hook: 'The name under which the iModel asks for the hook.',
  name: 'The name of an endpoint.',
};

const schemaRoot = '#/components/schemas/';

/**
 * The contract of the bus as a document of AsyncAPI 3.1, written from the schemas that check every message.
 *
 * @see {@link https://www.asyncapi.com/docs/reference/specification/v3.1.0} (read 2026-11)
 */
export function asyncApiDocument(): Record<string, unknown> {
  return {
    asyncapi: '3.1.0',
    info: {
      title: 'imodel',
      version,
      description: 'Language models as actors on a bus: who can publish a NATS message can call, watch and steer one.',
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    servers: { nats: { host: '127.0.0.1:4222', protocol: 'nats', description: 'Any NATS server.' } },
    channels: Object.assign({}, ...Object.entries(subjects).map(channelsOf)),
    operations: Object.fromEntries(Object.entries(subjects).map(operationOf)),
    components: { schemas: wireJsonSchemas(schemaRoot) },
  };
}

/** The channel of a subject, and that of its replies, which has no address: a requester names one with each request. */
function channelsOf([name, subject]: [string, Subject]): Record<string, unknown> {
  const { address, says, messages, headers, reply } = subject;
  const named = [...address.matchAll(/\{(\w+)\}/g)].map(([, parameter = '']) => parameter);
  return {
    [name]: {
      address,
      description: says,
      parameters: Object.fromEntries(named.map((parameter) => [parameter, { description: parameters[parameter] }])),
      messages: messagesOf(messages, headers),
    },
    ...(reply === undefined
      ? {}
      : { [`${name}Reply`]: { address: null, messages: messagesOf(reply, 'outcomeHeaders') } }),
  };
}

function messagesOf(names: readonly WireSchemaName[], headers: WireSchemaName | undefined): Record<string, unknown> {
  return Object.fromEntries(
    names.map((name) => [
      name,
      {
        name,
        payload: { $ref: `${schemaRoot}${name}` },
        ...(headers === undefined ? {} : { headers: { $ref: `${schemaRoot}${headers}` } }),
      },
    ]),
  );
}

function operationOf([name, subject]: [string, Subject]): [string, unknown] {
  const { action, says, messages, reply, queue } = subject;
  const references = (channel: string, names: readonly string[]) =>
    names.map((message) => ({ $ref: `#/channels/${channel}/messages/${message}` }));
  const replyChannel = `${name}Reply`;
  return [
    name,
    {
      action,
      summary: says,
      channel: { $ref: `#/channels/${name}` },
      messages: references(name, messages),
      ...(queue === undefined ? {} : { bindings: { nats: { queue } } }),
      ...(reply === undefined
        ? {}
        : { reply: { channel: { $ref: `#/channels/${replyChannel}` }, messages: references(replyChannel, reply) } }),
    },
  ];
}
