import { modelMachine } from '../../actors/imodel.ts';

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
