import { modelMachine } from './imodel.ts';

/** One region of an iModel's statechart. */
export interface ChartRegion {
  readonly name: string;
  readonly initial: string;
  readonly states: readonly string[];
  readonly arrows: readonly ChartArrow[];
}

/** What leads from one state to another. */
export interface ChartArrow {
  readonly from: string;
  readonly to: string;
  readonly event: string;
}

/** The statechart of an iModel as it can be drawn, read from the machine itself. */
export function chartOf(): ChartRegion[] {
  return Object.values(modelMachine.root.states).map((region) => {
    const states = Object.values(region.states);
    return {
      name: region.key,
      initial: region.initial.target[0]?.key ?? '',
      states: states.map(({ key }) => key),
      arrows: states.flatMap(({ key: from, transitions }) =>
        [...transitions.values()].flat().flatMap(({ eventType: event, target = [] }) => {
          return target.map(({ key: to }) => ({ from, to, event }));
        }),
      ),
    };
  });
}

/**
 * The statechart as a Mermaid state diagram.
 *
 * @param regions - By region, the state to mark as present. Names that the chart does not have are passed over. @defaultValue none is marked
 * @see {@link https://mermaid.js.org/syntax/stateDiagram.html} for the format (read 2026-11)
 */
export function mermaidOf(regions: Readonly<Record<string, string>> = {}): string {
  const lines = ['stateDiagram-v2', '  state iModel {'];
  for (const [index, { name, initial, states, arrows }] of chartOf().entries()) {
    if (index > 0) lines.push('    --');
    // Two regions may have states of one name; Mermaid has room for one.
    const id = (state: string): string => `${name}_${state}`;
    lines.push(`    state ${name} {`);
    for (const state of states) lines.push(`      state "${state}" as ${id(state)}`);
    lines.push(`      [*] --> ${id(initial)}`);
    for (const { from, to, event } of arrows) lines.push(`      ${id(from)} --> ${id(to)} : ${event}`);
    lines.push('    }');
  }
  lines.push('  }');
  const present = chartOf().flatMap(({ name, states }) =>
    states.filter((state) => regions[name] === state).map((state) => `${name}_${state}`),
  );
  if (present.length > 0) {
    lines.push('  classDef present fill:#2563eb,color:#ffffff,stroke:#1e40af');
    lines.push(`  class ${present.join(',')} present`);
  }
  return lines.join('\n');
}
