import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { set, text } from '../api';
import { useTarget } from '../live';
import { Act, attempt, Dialog } from '../parts/feedback';
import { saveFile } from '../parts/files';
import { may } from '../session';
import { ScreenLink, type ScreenState } from './screen_link';

const special: [string, string][] = [
  ['Esc', 'escape'],
  ['Tab', 'tab'],
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map((n): [string, string] => [`F${n}`, `f${n}`]),
  ['Alt+Tab', 'alt-tab'],
  ['Alt+F4', 'alt-f4'],
  ['Ctrl+Alt+F1', 'ctrl-alt-f1'],
  ['Ctrl+Alt+F2', 'ctrl-alt-f2'],
  ['SysRq+B', 'alt-sysrq-b'],
];

export function Screen(): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const frame = useRef<HTMLElement>(null);
  const link = useRef<ScreenLink | null>(null);
  const state = useSignal<ScreenState>('connecting');
  const pasting = useSignal(false);
  const pasted = useSignal('');
  const keys = may('c');
  const { view } = useTarget('/HOST/screen', 1);
  useEffect(() => {
    const made = new ScreenLink(place.current!, keys ? 'control' : 'view');
    made.state = (now) => (state.value = now);
    link.current = made;
    made.open(false);
    return () => made.close();
  }, []);
  const press = (names: string): Promise<boolean> =>
    attempt(() => set('/HOST/screen', { send_keys: names }).then(() => undefined));
  const type = async (event: Event): Promise<void> => {
    event.preventDefault();
    pasting.value = false;
    await attempt(() => set('/HOST/screen', { type_text: pasted.value }));
    pasted.value = '';
  };
  const shot = (): void =>
    link.current?.rfb?.toBlob((blob) => saveFile('screen.png', 'image/png', blob), 'image/png');
  const writer = text(view.value, 'writer');
  const viewers = (view.value?.Properties?.['viewers']?.Value as string[] | undefined) ?? [];
  return (
    <section class="console" aria-labelledby="screen-title" ref={frame}>
      <div class="console-bar">
        <h2 id="screen-title">Screen</h2>
        <span role="status" class={state.value === 'open' ? 'badge good' : 'badge'} title={viewers.join('\n')}>
          {state.value === 'open'
            ? !keys
              ? 'View only'
              : writer
                ? `Writer: ${writer}`
                : 'Open'
            : state.value === 'away'
              ? 'Reconnecting …'
              : 'Connecting …'}
        </span>
        {keys && (
          <button aria-label="Take over the screen" onClick={() => link.current?.open(true)}>Take over</button>
        )}
        <span class="grow" />
        <Act disabled={!keys} work={() => press('ctrl-alt-delete')}>Ctrl+Alt+Del</Act>
        <select aria-label="Send a special key" disabled={!keys} value=""
          onChange={(event) => {
            const names = event.currentTarget.value;
            event.currentTarget.value = '';
            if (names) void press(names);
          }}>
          <option value="">Keys …</option>
          {special.map(([label, names]) => <option key={names} value={names}>{label}</option>)}
        </select>
        <button disabled={!keys} onClick={() => (pasting.value = true)}>Paste</button>
        <button onClick={shot}>Screenshot</button>
        <button onClick={() => void frame.current?.requestFullscreen()}>Full screen</button>
      </div>
      <div class="screen" ref={place} />
      <p class="faint small">
        {[text(view.value, 'resolution'), viewers.length > 0 ? `${viewers.length} connected` : '']
          .filter(Boolean)
          .join(' · ')}
      </p>
      {pasting.value && (
        <Dialog title="Type a text" onClose={() => (pasting.value = false)}>
          <form class="fields" onSubmit={(event) => void type(event)}>
            <div class="field">
              <label for="typed">Text, typed as keys in the layout of the services page</label>
              <textarea id="typed" rows={5} value={pasted.value} onInput={(event) => (pasted.value = event.currentTarget.value)} />
            </div>
            <div class="actions">
              <button type="button" onClick={() => (pasting.value = false)}>Cancel</button>
              <button class="primary" disabled={!pasted.value}>Type it</button>
            </div>
          </form>
        </Dialog>
      )}
    </section>
  );
}
