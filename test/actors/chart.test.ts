import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { chartOf, mermaidOf } from '../../actors/chart.ts';
import { modelMachine } from '../../actors/imodel.ts';

describe('the drawn statechart', () => {
  it('has every region, state and arrow of the machine, and no other', () => {
    const { states } = modelMachine.config;
    const drawn = Object.fromEntries(
      chartOf().map(({ name, initial, states: names, arrows }) => [
        name,
        { initial, names, arrows: arrows.map(({ from, event, to }) => `${from} ${event} ${to}`).sort() },
      ]),
    );
    const written = Object.fromEntries(
      Object.entries(states ?? {}).map(([name, region]) => {
        const inner = Object.entries(region.states ?? {});
        const arrows = inner.flatMap(([from, { on = {} }]) =>
          Object.entries(on).map(([event, to]) => `${from} ${event} ${to}`),
        );
        return [name, { initial: region.initial, names: inner.map(([key]) => key), arrows: arrows.sort() }];
      }),
    );
    expect(drawn).toEqual(written);
  });

  it('marks the present state of each region, and passes over names that the chart does not have', () => {
    const lines = mermaidOf({ life: 'paused', rate: 'open', breaker: 'moon', weather: 'fine' }).split('\n');
    expect(lines[0]).toBe('stateDiagram-v2');
    expect(lines.at(-1)).toBe('  class life_paused,rate_open present');
    expect(mermaidOf()).not.toContain('class');
  });

  it('is what the README shows', () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const regions = { life: 'running', rate: 'cooling', breaker: 'closed', queue: 'accepting' };
    expect(readme).toContain(`\`\`\`mermaid\n${mermaidOf(regions)}\n\`\`\``);
  });
});
