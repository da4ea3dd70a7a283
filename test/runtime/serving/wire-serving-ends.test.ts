import { describe, expect, it } from 'vitest';
import { subjects } from '../../../src/bus/subjects.ts';
import { until } from '../../integration/private-server.ts';
import { buses } from '../../integration/served-model.ts';
import { hello } from './example-calls.ts';
import { quick, serveEachTest } from './serve-each-test.ts';

describe.each(Object.entries(buses))('calls over %s', (_name, open) => {
  const serve = serveEachTest(open);

  describe('ends', () => {
    it('answers no more when it is no longer served, and finishes what runs', async () => {
      const { remote, served, host, endpoint } = await serve({ delay_ms: 100 });
      const running = remote.invoke(hello);
      await until(() => endpoint.running.size === 1);
      served.close();
      await host.flush();
      await expect(remote.invoke(hello)).rejects.toMatchObject({ code: 'no_responder' });
      expect((await running).status).toBe('completed');
    });

    it('survives a bus that is closed before it could say that a call is not its own', async () => {
      const { caller, host, id, model } = await serve();
      const thrown: unknown[] = [];
      const note = (error: unknown): void => void thrown.push(error);
      process.on('uncaughtException', note);
      const asked = caller.request(subjects.cancel(id), { call_id: 'unknown' }, quick).catch(() => {});
      await caller.flush();
      await host.flush();
      await host.close();
      // Who does not hold a call waits for those who may.
      await new Promise((resolve) => setTimeout(resolve, 150));
      process.off('uncaughtException', note);
      expect(thrown).toEqual([]);
      expect((await model.invoke(hello)).status).toBe('completed');
      await caller.close();
      await asked;
    });

    it('survives a bus that is closed under its calls', async () => {
      const { remote, host, model, endpoint } = await serve({ delay_ms: 100 });
      const chunked = { ...hello, chunks: 50, chunk_delay_ms: 10 };
      const lost = [remote.invoke(hello), remote.stream(chunked).next()];
      for (const call of lost) call.catch(() => {});
      await until(() => endpoint.running.size === 2);
      await host.close();
      await until(() => endpoint.running.size === 0);
      expect((await model.invoke(hello)).status).toBe('completed');
      expect(model.state).toMatchObject({ running: 0, queue: { waiting: 0 } });
    });
  });
});
