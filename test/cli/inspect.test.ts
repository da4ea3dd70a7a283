import { describe, expect, inject, it } from 'vitest';
import { iModel } from '../../src/imodel.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';
import { jsonLines, runProgram } from './program.ts';

const over = (...args: readonly string[]) => [...args, '--nats', inject('natsUrl')];

describe('imodel inspect', () => {
  it('draws the statechart of a served iModel, its present state marked, and says when nobody serves it', async () => {
    const bus = await connectTestBus();
    const model = new iModel({ id: uniqueId(), model: 'scripted/echo' });
    model.serve(bus);
    model.pause();
    await bus.flush();
    const { code, stdout } = await runProgram(over('inspect', model.id));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^stateDiagram-v2\n/);
    expect(stdout).toContain('life_running --> life_paused : model.pause');
    expect(stdout).toMatch(/^ {2}class life_paused,rate_open,breaker_closed,queue_accepting present$/m);
    const [json] = jsonLines((await runProgram(over('inspect', model.id, '--json'))).stdout);
    expect(json).toMatchObject({ regions: { life: 'paused' }, mermaid: stdout.trimEnd() });
    await model.close();
    await bus.close();
    const gone = await runProgram(over('inspect', 'nobody'));
    expect(gone).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('(no_responder)') });
  });
});
