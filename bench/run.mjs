// Every number the project promises, in ratios of one run: npm run bench [-- name ...]
import { actor } from './actor.mjs';
import { bodies } from './bodies.mjs';
import { cancel } from './cancel.mjs';
import { gateway } from './gateway.mjs';
import { heap } from './heap.mjs';
import { http } from './http.mjs';
import { nats } from './nats.mjs';
import { observers } from './observers.mjs';
import { snapshot } from './snapshot.mjs';
import { soak } from './soak.mjs';
import { storm } from './storm.mjs';
import { stream } from './stream.mjs';
import { traces } from './traces.mjs';
import { window } from './window.mjs';

const benches = {
  actor,
  heap,
  http,
  nats,
  stream,
  bodies,
  cancel,
  observers,
  traces,
  gateway,
  soak,
  window,
  storm,
  snapshot,
};
const names = process.argv.slice(2);
for (const name of names.length > 0 ? names : Object.keys(benches)) {
  const bench = benches[name];
  if (bench === undefined) {
    console.error(`There is no bench ${name}; there are ${Object.keys(benches).join(', ')}`);
    process.exit(2);
  }
  await bench();
}
process.exit(0);
