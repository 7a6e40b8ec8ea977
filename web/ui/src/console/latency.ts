// How long a key takes to the service processor and back: a request of its own, now and then, while
// somebody looks. A websocket's own ping is not shown to scripts.
import { useSignal, type Signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

const period = 3000; // ms

/** Milliseconds; null: not known. */
export function useLatency(): Signal<number | null> {
  const latency = useSignal<number | null>(null);
  useEffect(() => {
    const measure = async (): Promise<void> => {
      if (document.hidden) return;
      const started = performance.now();
      try {
        await fetch('/redfish', { cache: 'no-store' });
        latency.value = Math.round(performance.now() - started);
      } catch {
        latency.value = null;
      }
    };
    void measure();
    const timer = setInterval(() => void measure(), period);
    return () => clearInterval(timer);
  }, []);
  return latency;
}
