import { describe, expect, it } from 'vitest';
import type { Bus } from '../../../src/bus/bus.ts';
import { connect } from '../../../src/runtime/remote/remote-model.ts';
import { uniqueId } from '../../integration/connect-test-bus.ts';
import { until } from '../../integration/private-server.ts';
import { buses } from '../../integration/served-model.ts';
import { serveEachTest } from './serve-each-test.ts';
import { ask, endless, hello, readAll } from './stream-listener.ts';

describe.each(Object.entries(buses))('streams over %s', (_name, open) => {
  const serve = serveEachTest(open);

  describe('a reader', () => {
    it('reads as a local one', async () => {
      const { remote } = await serve({ thinking: 'hm', toolUses: [{ name: 'add', input: { a: 1 } }] });
      const stream = remote.stream(hello);
      expect(stream.call).toBeNull();
      const types: string[] = [];
      for await (const chunk of stream) types.push(chunk.type);
      expect([...new Set(types)]).toEqual(['system', 'thinking', 'text', 'tool_use', 'result']);
      expect(stream.call).toMatchObject({ status: 'completed', thinking: 'hm', toolUses: [{ name: 'add' }] });
    });

    it('gets what came before a failure, then the failure', async () => {
      const { remote } = await serve({ failures: [{ code: 'unavailable', afterChunks: 2 }] });
      const texts: string[] = [];
      const stream = remote.stream(hello);
      const read = async (): Promise<void> => {
        for await (const chunk of stream) if (chunk.type === 'text') texts.push(chunk.content ?? '');
      };
      await expect(read()).rejects.toMatchObject({ code: 'unavailable', failure: { source: 'provider' } });
      expect(texts).toHaveLength(2);
      expect(stream.call?.status).toBe('failed');
    });

    it('is refused as a caller is', async () => {
      const { remote, endpoint } = await serve();
      await expect(remote.stream({ chunks: 0 }).next()).rejects.toMatchObject({ code: 'invalid_request' });
      const nobody = connect((await open()).caller).model(uniqueId());
      await expect(nobody.stream(hello).next()).rejects.toMatchObject({ code: 'no_responder' });
      expect(endpoint.started).toEqual([]);
    });

    it('that leaves ends the call', async () => {
      const { remote, endpoint } = await serve();
      for await (const _chunk of remote.stream(endless)) break;
      expect(endpoint.running.size).toBe(0);
    });

    it('whose signal aborts gets what is there, then that it was cancelled', async () => {
      const { remote, endpoint } = await serve();
      const stop = new AbortController();
      const stream = remote.stream(endless, { signal: stop.signal });
      await stream.next();
      stop.abort(new Error('enough'));
      await expect(readAll(stream)).rejects.toMatchObject({ code: 'cancelled', failure: { reason: 'enough' } });
      expect(endpoint.running.size).toBe(0);
      const aborted = remote.stream(endless, { signal: AbortSignal.abort('never mind') });
      await expect(readAll(aborted)).rejects.toMatchObject({ code: 'cancelled' });
      await until(() => endpoint.running.size === 0);
    });

    it('that vanishes without a word ends the call within moments', async () => {
      const served = await serve();
      const listener = await ask(served, endless);
      await until(() => listener.heard.length > 0);
      listener.close();
      await served.caller.flush();
      const leftAt = Date.now();
      await until(() => served.endpoint.running.size === 0);
      expect(Date.now() - leftAt).toBeLessThan(2_500);
    });

    it('goes on with a host that is no longer served', async () => {
      const { remote, served, endpoint, host } = await serve();
      const stream = remote.stream({ ...hello, chunks: 500 }, { credit: 16 });
      await stream.next();
      served.close();
      await host.flush();
      await expect(remote.invoke(hello)).rejects.toMatchObject({ code: 'no_responder' });
      await expect(readAll(stream)).resolves.toMatch(/^./);
      expect(stream.call?.status).toBe('completed');
      expect(endpoint.running.size).toBe(0);
    });
  });

  it('leave nothing behind', async () => {
    const { remote, caller, model, host } = await serve();
    const readers = (bus: Bus): number => {
      const feed = bus.status as unknown as { readonly readerCount: number };
      return feed.readerCount;
    };
    await readAll(remote.stream(hello));
    const before = [readers(caller), readers(host)];
    for (let index = 0; index < 50; index += 1) await readAll(remote.stream(hello));
    const second = model.serve(host);
    second.close();
    expect([readers(caller), readers(host)]).toEqual(before);
  });
});
