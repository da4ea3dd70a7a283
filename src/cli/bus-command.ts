import type { Bus } from '../bus/bus.ts';
import { connectFlags } from './connection.ts';
import { type Interrupt, listenForInterrupt } from './interrupt.ts';
import type { NatsFlags } from './options.ts';

/** The flags of commands that look at a bus. */
export interface BusFlags extends NatsFlags {
  readonly json?: boolean;
}

/**
 * Connects, runs what needs the bus, and closes it.
 *
 * @returns The exit code of `act`, or that of the signal which interrupted it.
 */
export async function withBus(
  flags: BusFlags,
  act: (bus: Bus, interrupt: Interrupt) => Promise<number>,
): Promise<number> {
  const interrupt = listenForInterrupt();
  let bus: Bus | undefined;
  try {
    bus = await connectFlags(flags, flags.json === true, interrupt.signal);
    const code = await act(bus, interrupt);
    return interrupt.exitCode ?? code;
  } catch (error) {
    if (interrupt.exitCode === null) throw error;
    return interrupt.exitCode;
  } finally {
    await bus?.close();
    interrupt.release();
  }
}
