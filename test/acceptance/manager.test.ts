import { describe, expect, it } from 'vitest';
import { iModel, iModelManager } from '../../src/index.ts';
import { timedModel } from './timed-endpoint.ts';

const scripted = () => new iModel({ provider: 'scripted' });

describe('iModelManager', () => {
  it('117: a model registers under the short name of its endpoint', () => {
    const chat = scripted();
    const embed = new iModel({ provider: 'openai', endpoint: 'embed', model: 'text-embedding-3-small' });
    const parse = scripted();
    const models = new iModelManager(chat, embed, { parse });
    expect([...models.registry.keys()]).toEqual(['chat', 'embed', 'parse']);
    expect([models.chat, models.get('embed'), models.parse]).toEqual([chat, embed, parse]);
    expect(() => new iModelManager(chat, scripted())).toThrow(/one model named `chat`/);
  });

  it('has nothing under a name nobody registered, and takes only iModels', () => {
    const models = new iModelManager();
    expect([models.chat, models.parse]).toEqual([null, null]);
    const first = scripted();
    models.registerIModel('chat', first);
    const second = scripted();
    models.registerIModel('chat', second);
    expect(models.chat).toBe(second);
    expect(() => models.registerIModel('x', {} as iModel)).toThrow(/`x` to be an iModel/);
    expect(() => new iModelManager({ x: 3 as unknown as iModel })).toThrow(/`x` to be an iModel/);
  });

  it('118: a close that fails and one that hangs hold up nobody', async () => {
    const failing = timedModel();
    failing.endpoint.close = () => Promise.reject(new Error('stuck'));
    const hanging = timedModel();
    hanging.endpoint.close = () => new Promise(() => {});
    const good = scripted();
    const { clock } = timedModel();
    const models = new iModelManager({ failing: failing.model, hanging: hanging.model, good });
    const shutdown = models.shutdown({ perModelTimeout: 3, clock });
    await clock.advance(2_999);
    expect(good.status).toBe('closed');
    await clock.advance(1);
    const reports = await shutdown;
    expect(Object.fromEntries(reports)).toEqual({
      failing: { status: 'failed', error: expect.objectContaining({ message: 'stuck' }) },
      hanging: { status: 'timed_out' },
      good: { status: 'closed' },
    });
    expect(models.registry.size).toBe(3);
    expect(clock.timers).toBe(0);
  });

  it('shuts down again, and with nothing in it', async () => {
    const models = new iModelManager(scripted());
    await models.shutdown();
    expect(Object.fromEntries(await models.shutdown())).toEqual({ chat: { status: 'closed' } });
    expect((await new iModelManager().shutdown()).size).toBe(0);
  });
});
