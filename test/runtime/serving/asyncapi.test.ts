import { Parser } from '@asyncapi/parser';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { subjects } from '../../../src/bus/subjects.ts';
import { asyncApiDocument } from '../../../src/runtime/serving/asyncapi.ts';
import { runProgram } from '../../cli/program.ts';
import { buses, serveScripted } from '../../integration/served-model.ts';

interface Document {
  readonly asyncapi: string;
  readonly channels: Readonly<Record<string, { readonly address: string | null }>>;
  readonly components: { readonly schemas: Readonly<Record<string, { readonly $id?: string }>> };
}
const document = asyncApiDocument() as unknown as Document;

describe('the AsyncAPI document', () => {
  it('is valid, says the official parser, without a warning', async () => {
    const { document: parsed, diagnostics } = await new Parser().parse(JSON.stringify(document));
    expect(diagnostics).toEqual([]);
    expect(parsed?.version()).toBe('3.1.0');
  }, 30_000);

  it('is what the program prints, as JSON or YAML', async () => {
    const [json, yaml] = await Promise.all([runProgram(['asyncapi']), runProgram(['asyncapi', '--yaml'])]);
    expect(JSON.parse(json.stdout)).toEqual(JSON.parse(JSON.stringify(document)));
    expect(parse(yaml.stdout)).toEqual(JSON.parse(json.stdout));
  });

  it('has every subject that an iModel or an endpoint actor is reached by', () => {
    const addresses = Object.values(document.channels).map(({ address }) => address);
    const given = [
      subjects.invoke('id'),
      subjects.stream('id'),
      subjects.chunks('id', 'call'),
      subjects.cancel('id'),
      subjects.ctl('id', 'node'),
      subjects.resume('id'),
      subjects.state('id'),
      subjects.snapshot('id'),
      subjects.explain('id'),
      subjects.control('id'),
      subjects.events('id', 'type'),
      subjects.hooks('id', 'point'),
      subjects.hooks('id', 'point', 'hook'),
      subjects.endpointCall('name'),
      subjects.endpointCancel('name'),
      subjects.endpointCtl('name', 'node'),
      subjects.endpointOut('name', 'call'),
    ];
    const tokens = new Set(['id', 'call', 'node', 'type', 'name', 'point', 'hook']);
    const asPattern = (subject: string): string => {
      const [first = '', ...rest] = subject.split('.');
      // The verb `call` of an endpoint is no parameter, so only what a builder was given is.
      return [
        first,
        ...rest.map((token, index) =>
          tokens.has(token) && !(first === 'endpoint' && index === 1) ? `{${token}}` : token,
        ),
      ].join('.');
    };
    for (const subject of given) expect(addresses).toContain(asPattern(subject));
  });

  it('knows the schemas that a service names in its metadata', async () => {
    await using served = await serveScripted(buses.memory as NonNullable<(typeof buses)[string]>);
    const reply = await served.caller.request('$SRV.INFO.imodel', {}, { timeoutMs: 5_000 });
    const { endpoints } = reply.value() as { endpoints: { metadata: Record<string, string> }[] };
    const ids = Object.values(document.components.schemas).map(({ $id }) => $id);
    expect(endpoints).toHaveLength(2);
    for (const { metadata } of endpoints) {
      for (const id of [metadata.request_schema, metadata.reply_schema]) expect(ids).toContain(id);
    }
  });
});
