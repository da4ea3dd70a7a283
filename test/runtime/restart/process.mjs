// Goes on with iModels that another process wrote down: one case a line on stdin, what happened a line on stdout.
import { text } from 'node:stream/consumers';
import { iModel } from '../../../dist/src/index.js';
import { VirtualClock } from '../../../dist/src/testing/index.js';
import { begunAtOnce, play } from './play.mjs';

for (const line of (await text(process.stdin)).split('\n').filter((one) => one !== '')) {
  const { dict, at, steps, firstIndex } = JSON.parse(line);
  const clock = new VirtualClock(at);
  const model = iModel.fromDict(dict, { clock });
  const log = begunAtOnce(model, clock);
  await play(model, clock, steps, firstIndex, log);
  process.stdout.write(`${JSON.stringify(log)}\n`);
  await model.close();
}
