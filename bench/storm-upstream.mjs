// An upstream in a process of its own that refuses with 429 for a while, then serves. A path is a storm of its own, which begins with its first
// request and is described by its first segment: /<seconds>-<Retry-After, or `rest` for what is left>/…
// GET /report tells when requests came, and when one was wanted at the time, in epoch milliseconds.
import { createServer } from 'node:http';

const answer = JSON.stringify({
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }],
});
const refusal = JSON.stringify({ error: { message: 'slow down' } });

const storms = new Map();

/** The clocks of two processes of one machine are one clock. */
const clock = () => performance.timeOrigin + performance.now();

function stormOf(name) {
  let storm = storms.get(name);
  if (storm === undefined) {
    const [seconds, retryAfter] = name.split('-');
    storm = { endsAt: clock() + Number(seconds) * 1_000, retryAfter, arrivals: [], wantedAt: 0 };
    storms.set(name, storm);
  }
  return storm;
}

function serve(request, response) {
  if (request.url === '/report') {
    const report = [...storms].map(([name, { arrivals }]) => ({ name, arrivals }));
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(report));
    return;
  }
  const storm = stormOf(request.url.split('/')[1]);
  const now = clock();
  storm.arrivals.push({ at: now, wantedAt: storm.wantedAt });
  if (now >= storm.endsAt) {
    response.writeHead(200, { 'content-type': 'application/json' }).end(answer);
    return;
  }
  const seconds = storm.retryAfter === 'rest' ? Math.ceil((storm.endsAt - now) / 1_000) : Number(storm.retryAfter);
  storm.wantedAt = now + seconds * 1_000;
  response.writeHead(429, { 'content-type': 'application/json', 'retry-after': seconds }).end(refusal);
}

const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => serve(request, response));
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('disconnect', () => process.exit(0));
