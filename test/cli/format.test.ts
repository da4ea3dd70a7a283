import { describe, expect, it } from 'vitest';
import { formatCost, formatDuration, formatTable, withoutLogin } from '../../src/cli/format.ts';
import { parseDuration, parseLimit } from '../../src/cli/options.ts';

describe('format', () => {
  it.each([
    [0.4, '0 ms'],
    [999, '999 ms'],
    [1_000, '1 s'],
    [1_240, '1.24 s'],
    [59_960, '60 s'],
    [60_000, '1 min'],
    [119_700, '2 min'],
    [125_000, '2 min 5 s'],
  ])('writes %d ms as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it.each([
    [0, '$0.00'],
    [1.274, '$1.27'],
    [0.1, '$0.10'],
    [0.0424, '$0.042'],
    [0.00042, '$0.00042'],
    [0.000000012, '$0.00000001'],
  ])('writes %d US dollars as %s', (usd, text) => {
    expect(formatCost(usd)).toBe(text);
  });

  it('aligns numbers to the right and ends no line in blanks', () => {
    expect(
      formatTable([
        ['ID', 'N'],
        ['long', '7'],
        ['b', '12'],
      ]),
    ).toEqual(['ID     N', 'long   7', 'b     12']);
    expect(
      formatTable([
        ['a', ''],
        ['bb', 'x'],
      ]),
    ).toEqual(['a', 'bb  x']);
  });

  it.each([
    ['nats://user:secret@host:4222', 'nats://host:4222'],
    ['token@host', 'host'],
    ['nats://host', 'nats://host'],
  ])('shows %s without its login', (address, shown) => {
    expect(withoutLogin(address)).toBe(shown);
  });
});

describe('flags', () => {
  it.each([
    ['30', 30_000],
    ['1.5s', 1_500],
    ['500ms', 500],
    ['2m', 120_000],
  ])('reads %s as %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '0', '-1', '1h', 'Infinity', '1e3'])('refuses %j as a time', (text) => {
    expect(() => parseDuration(text)).toThrow('Expected a time such as 30, 1.5s, 500ms or 2m');
  });

  it('reads a limit, or none', () => {
    expect(parseLimit('12')).toBe(12);
    expect(parseLimit('none')).toBe('none');
    for (const text of ['0', '-1', '1.5', '1e3', 'x']) expect(() => parseLimit(text)).toThrow('at least 1');
  });
});
