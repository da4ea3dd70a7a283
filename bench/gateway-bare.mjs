// The least a proxy can do: node:http in, node:http out, bytes handed on.
import { Agent, createServer, request as send } from 'node:http';

const upstream = new URL(process.argv[2]);
const agent = new Agent({ keepAlive: true });

const server = createServer((request, response) => {
  const { authorization, 'content-length': length } = request.headers;
  const headers = { 'content-type': 'application/json', authorization, 'content-length': length };
  const out = send(
    { agent, host: upstream.hostname, port: upstream.port, method: 'POST', path: request.url, headers },
    (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    },
  );
  out.on('error', () => response.destroy());
  response.once('close', () => out.destroy());
  request.pipe(out);
});
server.listen(0, '127.0.0.1', 1_024, () => process.send({ port: server.address().port }));
process.on('disconnect', () => process.exit(0));
