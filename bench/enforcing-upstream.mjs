// An upstream in a process of its own that enforces a sliding window by its own clock: 20 requests per second, refused with 429 beyond.
// Every path is a host of its own, and says in its first segment how it delays: /<request|response>-<shortest ms>-<longest ms>-<any name>/…
// `request` delays on the way to the count, `response` between the count and the answer. GET /report tells what was counted.
import { createServer } from 'node:http';

const limit = 20;
const windowMs = 1_000;
const answer = JSON.stringify({
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }],
});
const refusal = JSON.stringify({ error: { message: 'too many requests' } });

const hosts = new Map();

function hostOf(name) {
  let host = hosts.get(name);
  if (host === undefined) {
    const [delayed, shortest, longest] = name.split('-');
    host = { delayed, shortest: Number(shortest), longest: Number(longest), counted: [], granted: [], refused: 0 };
    hosts.set(name, host);
  }
  return host;
}

const delay = ({ shortest, longest }) =>
  new Promise((resolve) => setTimeout(resolve, shortest + Math.random() * (longest - shortest)));

/** Counts a request and says whether it is within the limit. */
function count(host) {
  const now = performance.now();
  host.counted.push(now);
  while (host.granted.length > 0 && host.granted[0] <= now - windowMs) host.granted.shift();
  if (host.granted.length >= limit) {
    host.refused += 1;
    return false;
  }
  host.granted.push(now);
  return true;
}

/** The most that any window holds, wherever it starts. */
function mostInWindow(instants) {
  let most = 0;
  let first = 0;
  for (const [index, at] of instants.entries()) {
    while (instants[first] <= at - windowMs) first += 1;
    most = Math.max(most, index - first + 1);
  }
  return most;
}

function report() {
  return [...hosts].map(([name, { counted, refused }]) => ({
    name,
    requests: counted.length,
    refused,
    mostInWindow: mostInWindow(counted),
  }));
}

async function serve(request, response) {
  if (request.url === '/report') {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(report()));
    return;
  }
  const host = hostOf(request.url.split('/')[1]);
  if (host.delayed === 'request') await delay(host);
  const granted = count(host);
  if (host.delayed === 'response') await delay(host);
  response.writeHead(granted ? 200 : 429, { 'content-type': 'application/json' }).end(granted ? answer : refusal);
}

const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => void serve(request, response));
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('disconnect', () => process.exit(0));
