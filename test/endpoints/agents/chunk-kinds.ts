import type { Chunk } from '../../../schemas/chunk.ts';

/** The kinds of the chunks, in their order. */
export const types = (chunks: readonly Chunk[]) => chunks.map(({ type }) => type);

/** The chunks of one kind. */
export const only = (chunks: readonly Chunk[], type: Chunk['type']) => chunks.filter((chunk) => chunk.type === type);

/** The events that the system chunks tell. */
export const events = (chunks: readonly Chunk[]) => only(chunks, 'system').map(({ metadata }) => metadata?.event);
