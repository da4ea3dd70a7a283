import type { Failure } from '../schemas/failure.ts';
import type { WindowState } from '../schemas/live-state.ts';
import type { CallRow } from './call-row.ts';
import type { DispatcherLimits } from './dispatcher-input.ts';
import type { RestoredDispatcher } from './dispatcher-state.ts';
import type { VendorLimits } from './policy/cooling.ts';

/** What a dispatcher hears. */
export type DispatcherEvent =
  | { readonly type: 'call.submit'; readonly row: CallRow }
  /** The request was written to an open connection. */
  | { readonly type: 'call.sent'; readonly row: CallRow }
  | { readonly type: 'call.answer'; readonly row: CallRow }
  /** The request was left unwritten, since the vendor has asked meanwhile to be left alone. */
  | { readonly type: 'call.withhold'; readonly row: CallRow }
  /** The call's work is over and its transport gone. `tokens` is what the upstream reported, null when it did not. */
  | {
      readonly type: 'call.settle';
      readonly row: CallRow;
      readonly failure: Failure | null;
      readonly tokens: number | null;
      /** Whether the caller has seen something of this attempt, so that another would repeat it. */
      readonly isDelivered?: boolean;
      /** Whether the end came from this side, as of a hook or a cache, and so says nothing of the vendor. */
      readonly isUnasked?: boolean;
    }
  /** A hook begins or ends to run before the first attempt. */
  | { readonly type: 'call.hook'; readonly row: CallRow; readonly isRunning: boolean }
  /** What had to be done before this call's end is done. A failure makes a call fail that would have completed. */
  | { readonly type: 'call.finish'; readonly row: CallRow; readonly failure: Failure | null }
  /** What a vendor's headers said. */
  | { readonly type: 'limits.learned'; readonly limits: VendorLimits }
  /** End this call: as `cancelled`, `aborted` or `failed`, by the failure's code. A waiting call ends at once. */
  | { readonly type: 'call.end'; readonly row: CallRow; readonly failure: Failure }
  | { readonly type: 'gate.open' }
  | { readonly type: 'gate.shut' }
  /** Take no more calls, end those that wait, and say `dispatcher.idle` when the last running one has ended. */
  | { readonly type: 'calls.refuse' }
  /** End every running call. */
  | { readonly type: 'calls.stop' }
  /** Go on where another dispatcher was written down; for one that has heard nothing yet. */
  | { readonly type: 'calls.restore'; readonly restored: RestoredDispatcher }
  /** The process that ran the running calls is gone: they have failed, and are not sent again. */
  | { readonly type: 'calls.interrupt' }
  | { readonly type: 'limits.set'; readonly limits: Partial<DispatcherLimits> }
  /** Count as used what another dispatcher has used of the same limits. */
  | { readonly type: 'limits.inherit'; readonly window: WindowState }
  /** Forget what was used of the limits. */
  | { readonly type: 'limits.reset' }
  | { readonly type: 'clock.tick' };

/** What the iModel machine hears: changes only, never a message per call. */
export type DispatcherEdge =
  | { readonly type: 'limit.hit' }
  | { readonly type: 'window.refreshed' }
  | { readonly type: 'queue.full' }
  | { readonly type: 'queue.drained' }
  | { readonly type: 'cooling.begun' }
  | { readonly type: 'cooling.ended' }
  | { readonly type: 'breaker.tripped' }
  | { readonly type: 'breaker.trial' }
  | { readonly type: 'breaker.closed' }
  | { readonly type: 'dispatcher.idle' };
