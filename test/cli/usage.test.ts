import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { folder, jsonLines, runProgram, startProgram } from './program.ts';

const files = {
  'good.yaml': 'models:\n  one:\n    model: scripted/x\n',
  'broken.yaml': 'models: {a: [}',
  'negative.yaml': 'models:\n  a:\n    model: scripted/x\n    limit_requests: -5\n',
  'stranger.yaml': 'models:\n  a:\n    model: openai/gpt-4o-mini\n    limit_request: 5\n',
  'twice.yaml': 'models:\n  a: {}\n  a: {}\n',
  'broken.json': '{"models": {"a": {"model": "scripted/x"}',
  'camel.json': '{"models": {"a": {"model": "scripted/x", "limitTokens": 5}}}',
};
for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);

/** Nothing listens there. */
const nowhere = 'nats://127.0.0.1:1';

/** The words, the exit code, and what stderr says. */
const cases: readonly [string, number, RegExp][] = [
  ['', 2, /^Usage: imodel/],
  ['frob', 2, /unknown command 'frob'/],
  ['invok x', 2, /Did you mean invoke\?/],
  ['--frob', 2, /unknown option '--frob'/],
  ['invoke', 2, /Expected a model such as/],
  ['invoke scripted/x', 2, /Expected a prompt, got an empty one/],
  ['invoke scripted/x hi --frob', 2, /unknown option '--frob'/],
  ['invoke scripted/x hi --timeout soon', 2, /'soon' is invalid. Expected a time such as 30, 1.5s/],
  ['invoke scripted/x hi --timeout 0', 2, /'0' is invalid/],
  ['invoke scripted/x hi --request {', 2, /Expected --request to be JSON/],
  ['invoke scripted/x hi --request [1]', 2, /Expected --request to be a JSON object, got `\[1\]` \(array\)/],
  ['invoke scripted/x hi --request {"messages":5}', 2, /Expected `messages` of --request to be a list, got `5`/],
  ['invoke scripted/x hi --request @none.json', 2, /Cannot read the file of --request: .*none\.json/],
  ['invoke scripted/x hi --request {"temprature":1}', 1, /`temprature`, got `1` .*did you mean `temperature`/],
  ['invoke nope/x hi', 2, /There is no provider `nope`.*Known are openai/],
  ['invoke openai/gpt-4o hi', 1, /set OPENAI_API_KEY.*\(missing_api_key\)/],
  ['invoke one hi --config none.yaml', 2, /Cannot read none\.yaml: there is no such file/],
  ['invoke two hi --config good.yaml', 2, /Expected the id of an iModel of good\.yaml \(one\), got `two`/],
  [`invoke one hi --nats ${nowhere}`, 1, /Cannot connect to nats:\/\/127\.0\.0\.1:1.*\(unavailable\)/],
  ['invoke one hi --nats http://127.0.0.1', 2, /addresses with nats:\/\/ or tls:\/\//],
  [`stream one hi --nats ${nowhere}`, 1, /\(unavailable\)/],
  ['stream scripted/x hi --timeout -1', 2, /'-1' is invalid/],
  ['serve --config none.yaml', 2, /Cannot read none\.yaml: there is no such file/],
  ['serve --config broken.yaml', 2, /^error: broken\.yaml:1:14: /],
  ['serve --config broken.json', 2, /^error: broken\.json:1:\d+: /],
  ['serve --config twice.yaml', 2, /^error: twice\.yaml:3:3: Map keys must be unique/],
  ['serve --config negative.yaml', 2, /^error: negative\.yaml:4:21: models\.a\.limit_requests: .* got `-5` \(number\)/],
  [
    'serve --config stranger.yaml',
    2,
    /^error: stranger\.yaml: models\.a: .*did you mean the option `limit_requests`\?/,
  ],
  ['serve --config camel.json', 2, /models\.a\.limitTokens: expected `limit_tokens`/],
  ['serve --config good.yaml --model scripted/x', 2, /Expected either --config or --model, got both/],
  ['serve --demo --model scripted/x', 2, /Expected --demo without --config and --model/],
  ['serve --id a.b', 2, /`models\.a\.b`: 1 to 64 of the characters/],
  ['serve --drain never', 2, /'never' is invalid/],
  [`serve --nats ${nowhere}`, 1, /\(unavailable\)/],
  ['serve extra', 2, /too many arguments/],
  [`ls --nats ${nowhere}`, 1, /\(unavailable\)/],
  ['ls --config broken.yaml', 2, /^error: broken\.yaml:1:14: /],
  ['ls --creds none.creds', 2, /Cannot read `credentialsFile` \(ENOENT\): none\.creds/],
  ['state', 2, /missing required argument 'id'/],
  [`state one --nats ${nowhere}`, 1, /\(unavailable\)/],
  ['control one', 2, /missing required argument 'action'/],
  ['control one frob', 2, /Allowed choices are pause, resume, drain, close, limits, reset/],
  ['control one limits', 2, /Expected a limit to change/],
  ['control one pause --limit-requests 5', 2, /Expected limits only with the action `limits`/],
  ['control one limits --limit-requests 0', 2, /Expected a whole number of at least 1/],
  ['control one limits --limit-tokens many', 2, /Expected a whole number of at least 1/],
  [`control one pause --nats ${nowhere}`, 1, /\(unavailable\)/],
  [`watch --nats ${nowhere}`, 1, /\(unavailable\)/],
  ['watch one two', 2, /too many arguments/],
  ['demo --model nope/x', 2, /There is no provider `nope`/],
  ['demo extra', 2, /too many arguments/],
];

describe.concurrent('bad input', () => {
  it.each(cases)('imodel %s: ends with %i', async (words, expected, said) => {
    const { code, stdout, stderr } = await runProgram(words === '' ? [] : words.split(' '));
    expect({ code, stdout, stderr }).toEqual({ code: expected, stdout: '', stderr: expect.stringMatching(said) });
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it('says it as JSON with --json', async () => {
    const { code, stdout, stderr } = await runProgram(['state', 'one', '--nats', nowhere, '--json']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(jsonLines(stdout)).toMatchObject([{ failure: { code: 'unavailable', retryable: true } }]);
  });
});

describe('help', () => {
  it('lists the commands, and ends well', async () => {
    const { code, stdout, stderr } = await runProgram(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const name of ['demo', 'serve', 'invoke', 'stream', 'ls', 'state', 'control', 'watch']) {
      expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    }
  });

  it('prints the version', async () => {
    expect(await runProgram(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      // Nor does Node's V8 complain of a flag.
      stderr: '',
    });
  });
});

describe('a reader that leaves before the end', () => {
  it.each(['--help', 'providers', 'doctor --json', 'asyncapi'])('harms `imodel %s` in no way', async (words) => {
    const program = startProgram(words.split(' '));
    program.child.stdout.destroy();
    expect(await program.ended).toMatchObject({ code: 0, stderr: '' });
  });
});
