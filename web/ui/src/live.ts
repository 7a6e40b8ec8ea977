// What is shown is kept true by events: a change of a target reads anew whatever shows it.
import { signal, useSignal, type Signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ApiError, request, show, type TargetView } from './api';
import { session } from './session';

export interface Change {
  Kind: string;
  Target: string;
  Property: string;
  Text: string;
}

export const connected = signal(true);

type Listener = (change: Change | null) => void; // null: anything may have changed
const listeners = new Set<Listener>();
let source: EventSource | null = null;

function tell(change: Change | null): void {
  for (const listener of listeners) listener(change);
}

/** One stream for the whole page, while somebody is logged in. */
export function startEvents(): () => void {
  let retry = 0;
  let wasAway = false;
  const open = (): void => {
    source = new EventSource('/redfish/v1/EventService/SSE');
    source.onopen = () => {
      connected.value = true;
      if (wasAway) tell(null);
      wasAway = false;
    };
    source.onmessage = (message) => {
      const event = JSON.parse(message.data as string) as {
        Events: { Oem?: { OpenLOM?: Change } }[];
      };
      const change = event.Events[0]?.Oem?.OpenLOM;
      connected.value = true;
      tell(!change || change.Kind === 'missed' ? null : change);
    };
    // lom-web lives, the service processor behind it starts anew; `missed` says that it is back.
    source.addEventListener('away', () => {
      connected.value = false;
    });
    source.onerror = () => {
      wasAway = true;
      connected.value = false;
      source?.close();
      retry = window.setTimeout(again, 700);
    };
  };
  // A refused stream says nothing of why; a request does, and ends the page's session on 401.
  const again = (): void => {
    const mine = session.value;
    if (!mine) return;
    request('GET', mine.uri).then(open, () => {
      retry = window.setTimeout(again, 700);
    });
  };
  open();
  return () => {
    clearTimeout(retry);
    source?.close();
    source = null;
  };
}

export function onChange(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export interface Live {
  view: Signal<TargetView | null>;
  error: Signal<string>;
  reload: () => void;
}

const concerns = (change: Change, path: string): boolean =>
  change.Target === path ||
  path === '/' ||
  change.Target.startsWith(path + '/') ||
  path.startsWith(change.Target + '/');

/** A target of the tree as it is now; `also` are others whose changes show in it. */
export function useTarget(path: string, depth = 1, also: string[] = []): Live {
  const view = useSignal<TargetView | null>(null);
  const error = useSignal('');
  const load = useSignal<() => void>(() => {});
  useEffect(() => {
    let timer = 0;
    let gone = false;
    let busy = false;
    let dirty = false;
    const read = async (): Promise<void> => {
      if (busy) {
        dirty = true;
        return;
      }
      busy = true;
      try {
        const answer = await show(path, depth);
        if (!gone) {
          view.value = answer;
          error.value = '';
        }
      } catch (fault) {
        if (!gone && !(fault instanceof ApiError && fault.status === 401))
          error.value = (fault as Error).message;
      }
      busy = false;
      if (dirty && !gone) {
        dirty = false;
        void read();
      }
    };
    const soon = (): void => {
      clearTimeout(timer);
      timer = window.setTimeout(() => void read(), 60);
    };
    load.value = () => void read();
    void read();
    const paths = [path, ...also];
    const stop = onChange((change) => {
      if (!change || paths.some((one) => concerns(change, one))) soon();
    });
    return () => {
      gone = true;
      clearTimeout(timer);
      stop();
    };
  }, [path, depth, also.join()]);
  return { view, error, reload: () => load.value() };
}
