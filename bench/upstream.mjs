// A loopback upstream in a process of its own: answers at once, streams one event per socket write, and reports closed sockets.
import { fork } from 'node:child_process';
import { createServer } from 'node:http';

const reply = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: 'm',
  choices: [
    { index: 0, message: { role: 'assistant', content: 'Hello! How can I help you today?' }, finish_reason: 'stop' },
  ],
  usage: { prompt_tokens: 9, completion_tokens: 9, total_tokens: 18 },
});

const event = (delta, finish = null) =>
  `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;

async function stream(response, count) {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.socket.setNoDelay(true);
  for (let n = 0; n < count; n += 1) {
    response.write(event({ content: ` word${n}` }));
    // One write per turn of the loop, so that events travel one by one.
    await new Promise((resolve) => setImmediate(resolve));
  }
  response.write(event({}, 'stop'));
  response.end('data: [DONE]\n\n');
}

if (process.send !== undefined && process.argv[1]?.endsWith('upstream.mjs')) {
  const server = createServer((request, response) => {
    const chunks = Number(request.headers['x-chunks'] ?? 0);
    const hang = request.headers['x-hang'];
    request.resume();
    request.on('end', () => {
      if (hang !== undefined) {
        process.send({ seen: hang });
        // The clocks of two processes of one machine are one clock.
        response.socket.once('close', () =>
          process.send({ closedAt: performance.timeOrigin + performance.now(), hang }),
        );
        if (hang.startsWith('stream')) {
          response.writeHead(200, { 'content-type': 'text/event-stream' });
          response.write(event({ content: 'first' }));
        }
        return;
      }
      if (chunks > 0) {
        void stream(response, chunks);
        return;
      }
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(reply) });
      response.end(reply);
    });
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
  process.on('disconnect', () => process.exit(0));
}

/** Starts the upstream; `onMessage` hears of closed sockets. */
export function startUpstream(onMessage = () => {}) {
  return new Promise((resolve) => {
    const child = fork(new URL(import.meta.url).pathname);
    child.on('message', (message) => {
      if (message.port !== undefined)
        resolve({ url: `http://127.0.0.1:${message.port}`, close: () => child.disconnect() });
      else onMessage(message);
    });
  });
}
