import { describe, expect, it } from 'vitest';
import { connectNats } from '../../../src/bus/nats.ts';
import { iModel } from '../../../src/imodel.ts';
import { connect } from '../../../src/runtime/remote/remote-model.ts';
import { uniqueId } from '../../integration/connect-test-bus.ts';
import { startServer } from '../../integration/private-server.ts';
import { buses, serveScripted } from '../../integration/served-model.ts';
import { startProxy } from '../../integration/tcp-proxy.ts';
import { hello } from './stream-listener.ts';

describe('a reader that stalls for ten seconds', () => {
  it.each(Object.entries(buses))(
    'gets 10,000 chunks in order over %s, and the host never holds more than the window',
    {
      timeout: 60_000,
      concurrent: true,
    },
    async (_name, open) => {
      await using served = await serveScripted(open);
      const window = 64;
      const stream = served.remote.stream({ ...hello, text: 'x', chunks: 10_000 }, { credit: window });
      let read = 0;
      const written: number[] = [];
      for await (const chunk of stream) {
        if (chunk.type !== 'text') continue;
        read += 1;
        if (read === 100) {
          for (let second = 0; second < 10; second += 1) {
            await new Promise((resolve) => setTimeout(resolve, 1_000));
            written.push(served.endpoint.chunks);
          }
        }
        // What the source has written is either read, or within the window, or the one that it was told to stop at.
        expect(served.endpoint.chunks - read).toBeLessThanOrEqual(window + 3);
      }
      expect(read).toBe(10_000);
      expect(new Set(written.slice(1)).size).toBe(1);
      expect(stream.call?.status).toBe('completed');
    },
  );
});

describe('a reader without credit whose connection stalls', () => {
  it.each([
    ['for a moment', '', 300],
    ['until the server gives it up', 'max_pending: 1MB\nwrite_deadline: "500ms"', 3_000],
  ])('%s gets a terminal error or every chunk, never a hole', { timeout: 60_000 }, async (_name, config, stallMs) => {
    const server = await startServer(config);
    const gate = await startProxy(server.port);
    const host = await connectNats({ servers: server.url });
    const caller = await connectNats({ servers: gate.url });
    const id = uniqueId();
    const piece = 1_000;
    const chunks = 20_000;
    const text = Array.from({ length: chunks }, (_, index) => String(index).padEnd(piece, '.')).join('');
    const model = new iModel({ id, provider: 'scripted', text, chunks });
    model.serve(host);
    await host.flush();
    try {
      const stream = connect(caller).model(id).stream(hello, { credit: 0, idleTimeoutMs: 5_000 });
      let read = '';
      let failure: unknown = null;
      try {
        for await (const chunk of stream) {
          if (chunk.type !== 'text') continue;
          if (read === '') {
            gate.stallReader();
            setTimeout(() => gate.heal(), stallMs);
          }
          read += chunk.content ?? '';
        }
      } catch (error) {
        failure = error;
      }
      expect(text.startsWith(read)).toBe(true);
      if (failure === null) expect(read.length).toBe(text.length);
      else expect(failure).toMatchObject({ code: expect.stringMatching(/^(unavailable|timed_out)$/) });
    } finally {
      await model.close();
      await Promise.all([caller.close(), host.close()]);
      await gate.close();
      await server.stop();
    }
  });
});
