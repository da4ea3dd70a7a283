// Hosts what its argument says, from SIGUSR2 until it is killed.
import { createRuntime } from '../../../dist/src/runtime/runtime.js';

const waiting = setInterval(() => {}, 60_000);
process.once('SIGUSR2', async () => {
  clearInterval(waiting);
  const runtime = await createRuntime(JSON.parse(process.argv[2]));
  process.stdout.write('ready\n');
  process.once('SIGTERM', async () => {
    await runtime.close({ drain: true });
    process.exit(0);
  });
});
process.stdout.write('loaded\n');
