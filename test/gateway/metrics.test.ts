import { expect, it } from 'vitest';
import { openGateway } from './open-gateway.ts';

it('/metrics tells Prometheus what the iModels do and did', async () => {
  const failures = [null, 'rejected'];
  const usage = { inputTokens: 7, outputTokens: 3 };
  const model = { model: 'scripted/echo', failures, usage, limitRequests: 10, retry: null };
  const { url, post, runtime } = await openGateway({ demo: model, other: { model: 'scripted/echo' } });
  const call = () => post('/v1/chat/completions', { model: 'demo', messages: [{ role: 'user', content: 'hello' }] });
  expect([(await call()).status, (await call()).status]).toEqual([200, 400]);
  runtime.models.get('other')?.pause();
  const read = async (): Promise<string[]> => {
    const response = await fetch(`${url}/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain');
    return (await response.text()).split('\n');
  };
  const lines = await read();
  for (const line of [
    'imodel_calls_total{imodel="demo",status="completed"} 1',
    'imodel_calls_total{imodel="demo",status="failed"} 1',
    'imodel_calls_submitted_total{imodel="demo"} 2',
    'imodel_calls_waiting{imodel="demo",place="queue"} 0',
    'imodel_calls_running{imodel="demo"} 0',
    'imodel_budget_limit{imodel="demo",of="requests"} 10',
    'imodel_budget_used{imodel="demo",of="requests"} 2',
    'imodel_mode{imodel="demo",mode="idle"} 1',
    'imodel_mode{imodel="other",mode="paused"} 1',
    'imodel_call_wait_seconds_count{imodel="demo"} 2',
    'imodel_call_duration_seconds_count{imodel="demo"} 2',
    'imodel_tokens_total{imodel="demo",direction="input"} 7',
    'imodel_tokens_total{imodel="demo",direction="output"} 3',
  ]) {
    expect(lines).toContain(line);
  }
  expect(lines.filter((line) => line.startsWith('imodel_budget_limit'))).toHaveLength(1);
  runtime.models.get('other')?.resume();
  expect(await read()).not.toContain('imodel_mode{imodel="other",mode="paused"} 1');
});
