import { afterAll, describe, expect, it } from 'vitest';
import {
  auditFile,
  auditStream,
  connectNats,
  contextWindowOf,
  createAuditLog,
  createBudget,
  createCallCache,
  createEventLog,
  createMemoryBus,
  createRuntime,
  explain,
  listEndpoints,
  loadConfig,
  loadPrices,
  loadTokenizer,
  readJournal,
  replay,
  startGateway,
} from '../../src/index.ts';
import { refusal } from './refusal.ts';

describe('what is handed to the functions of the library', () => {
  const bus = createMemoryBus();
  afterAll(() => bus.close());

  it.each<[field: string, value: string, act: () => unknown]>([
    ['options', 'null', () => createMemoryBus(null as never)],
    ['options', 'null', () => connectNats(null as never)],
    ['options', 'null', () => createRuntime({ models: {} }, null as never)],
    ['host', 'null', () => startGateway(null as never)],
    ['models', 'undefined', () => startGateway({} as never)],
    ['bus', '5', () => startGateway({ models: new Map(), bus: 5 as never })],
    ['options', '5', () => startGateway({ models: new Map() }, {}, 5 as never)],
    ['bus', 'null', () => createBudget(null as never, { ceilingUsd: 1, prices: {} })],
    ['options', 'undefined', () => createBudget(bus, undefined as never)],
    ['bus', '{}', () => createCallCache({} as never)],
    ['options', 'null', () => createCallCache(bus, null as never)],
    ['bus', 'null', () => createEventLog(null as never)],
    ['options', 'null', () => createEventLog(bus, null as never)],
    ['bus', 'undefined', () => createAuditLog(undefined as never, { sink: auditFile('/nowhere') })],
    ['options', 'undefined', () => createAuditLog(bus, undefined as never)],
    ['path', '5', () => auditFile(5 as never)],
    ['bus', 'null', () => auditStream(null as never)],
    ['options', 'null', () => auditStream(bus, null as never)],
    ['options', 'null', () => listEndpoints(null as never)],
    ['env', '5', () => listEndpoints({ env: 5 as never })],
    ['model', 'undefined', () => contextWindowOf(undefined as never)],
    ['question', 'null', () => contextWindowOf('gpt-4o', null as never)],
    ['model', 'null', () => loadTokenizer(null as never)],
    ['path', 'Symbol(config)', () => loadConfig(Symbol('config') as never)],
    ['path', 'null', () => loadPrices(null as never)],
    ['file', '5', () => readJournal(5 as never)],
    ['options', 'null', () => readJournal('/nowhere', null as never)],
    ['options', 'null', () => replay([], null as never)],
    ['options', 'null', () => explain([], 'call', null as never)],
  ])('names %s and prints %s', async (field, value, act) => {
    const { failure } = await refusal(act);
    expect(failure).toMatchObject({ code: 'config', field });
    expect(failure.message).toContain(value);
  });
});
