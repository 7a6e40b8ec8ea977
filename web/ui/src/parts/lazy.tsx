// Parts that are fetched when first shown: the console libraries are larger than all the rest.
import { useSignal } from '@preact/signals';
import type { ComponentType, JSX } from 'preact';
import { useEffect } from 'preact/hooks';

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>) {
  let loaded: ComponentType<P> | null = null;
  return function Lazy(props: P): JSX.Element {
    const state = useSignal<'waits' | 'here' | 'failed'>(loaded ? 'here' : 'waits');
    useEffect(() => {
      if (loaded) return;
      load().then(
        (component) => {
          loaded = component;
          state.value = 'here';
        },
        () => {
          state.value = 'failed';
        },
      );
    }, []);
    if (state.value === 'here' && loaded) {
      const Component = loaded;
      return <Component {...props} />;
    }
    return (
      <p class="faint">
        {state.value === 'waits' ? 'Loading …' : 'This part could not be loaded. Reload the page.'}
      </p>
    );
  };
}

