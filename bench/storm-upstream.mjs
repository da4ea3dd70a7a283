// An upstream in a process of its own that refuses with 429 for a while, then serves. A path is a storm of its own, which begins with its first
// request and is described by its first segment: /<seconds>-<Retry-After, or `rest` for what is left>-<requests that come at once>/…
// GET /report tells, by this process's clock, what came after those.
import { createServer } from 'node:http';

const answer = JSON.stringify({
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }],
});
const refusal = JSON.stringify({ error: { message: 'slow down' } });

const storms = new Map();

function stormOf(name) {
  let storm = storms.get(name);
  if (storm === undefined) {
    const [seconds, retryAfter, atOnce] = name.split('-');
    const endsAt = performance.now() + Number(seconds) * 1_000;
    storm = { endsAt, retryAfter, atOnce: Number(atOnce), requests: 0, tooEarly: 0, wantedAt: 0 };
    storms.set(name, storm);
  }
  return storm;
}

function serve(request, response) {
  if (request.url === '/report') {
    const report = [...storms].map(([name, { atOnce, requests, tooEarly }]) => ({
      name,
      offered: requests - atOnce,
      tooEarly,
    }));
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(report));
    return;
  }
  const storm = stormOf(request.url.split('/')[1]);
  const now = performance.now();
  storm.requests += 1;
  if (storm.requests > storm.atOnce && now < storm.wantedAt) storm.tooEarly += 1;
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
