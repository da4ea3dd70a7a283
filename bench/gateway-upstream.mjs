// A vendor of OpenAI's chat protocol on loopback, in a process of its own: answers at once, or streams 64 numbered pieces, one every 20 ms.
// It speaks just enough HTTP to be no bottleneck.
import { createServer } from 'node:net';

const pieces = 64;
const gapMs = 20;

const frame = { id: 'chatcmpl-1', created: 1, model: 'm' };

const reply = JSON.stringify({
  ...frame,
  object: 'chat.completion',
  choices: [
    { index: 0, message: { role: 'assistant', content: 'Hello! How can I help you today?' }, finish_reason: 'stop' },
  ],
  usage: { prompt_tokens: 9, completion_tokens: 9, total_tokens: 18 },
});
const answer = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${reply.length}\r\n\r\n${reply}`;
const streamHead = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';

const event = (delta, finish = null) =>
  `data: ${JSON.stringify({ ...frame, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const chunked = (text) => `${text.length.toString(16)}\r\n${text}\r\n`;
const events = Array.from({ length: pieces }, (_value, index) => chunked(event({ content: `${index} ` })));
const last = `${chunked(`${event({}, 'stop')}data: [DONE]\n\n`)}0\r\n\r\n`;

function stream(socket) {
  socket.write(streamHead);
  let sent = 0;
  const stop = () => clearInterval(timer);
  const timer = setInterval(() => {
    socket.write(events[sent]);
    sent += 1;
    if (sent < pieces) return;
    stop();
    socket.off('close', stop);
    socket.write(last);
  }, gapMs);
  socket.once('close', stop);
}

const server = createServer({ noDelay: true }, (socket) => {
  let text = '';
  socket.on('error', () => {});
  socket.on('data', (data) => {
    text += data.toString('latin1');
    const head = text.indexOf('\r\n\r\n');
    if (head < 0) return;
    const whole = text.endsWith('0\r\n\r\n') && /transfer-encoding: chunked/i.test(text);
    if (!whole && text.length < head + 4 + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 1e9)) return;
    const isStream = text.includes('"stream":true');
    text = '';
    if (isStream) stream(socket);
    else socket.write(answer);
  });
});
server.listen(0, '127.0.0.1', 1_024, () => process.send({ port: server.address().port }));
process.on('disconnect', () => process.exit(0));
