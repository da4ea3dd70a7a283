import { expect, it } from 'vitest';
import { jsonLines, runProgram } from './program.ts';

const env = { OPENAI_API_KEY: 'sk-of-nobody-1234', GROQ_API_KEY: '' };

it('prints every endpoint with the state of its key, and no key', async () => {
  const { code, stdout } = await runProgram(['providers'], { env });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^PROVIDER +ENDPOINT +ALSO +MODEL +KEY +VARIABLE\n/);
  expect(stdout).toMatch(/^openai +chat\/completions +chat +gpt-4\.1-mini +set +OPENAI_API_KEY$/m);
  expect(stdout).toMatch(/^groq +audio\/transcriptions +whisper, stt +\S+ +missing +GROQ_API_KEY$/m);
  expect(stdout).toMatch(/^ollama +generate +completion +- +not needed +OLLAMA_API_KEY$/m);
  expect(stdout).toMatch(/^claude_code /m);
  expect(stdout).not.toContain('sk-of-nobody');
});

it('prints those of one provider, as JSON for programs', async () => {
  const { code, stdout } = await runProgram(['providers', 'nim', '--json'], { env });
  expect(code).toBe(0);
  const rows = jsonLines(stdout);
  expect(rows).toHaveLength(2);
  expect(rows[0]).toMatchObject({
    provider: 'nvidia_nim',
    endpoint: 'chat/completions',
    key: 'missing',
    key_from: null,
    key_variables: ['NVIDIA_NIM_API_KEY', 'NVIDIA_API_KEY'],
  });
});

it('names what there is for a provider that there is not', async () => {
  const { code, stderr } = await runProgram(['providers', 'opnai'], { env });
  expect(code).toBe(2);
  expect(stderr).toMatch(/opnai.*did you mean openai\?/);
});
