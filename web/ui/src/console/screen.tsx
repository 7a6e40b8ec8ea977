import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { set, text } from '../api';
import { useTarget } from '../live';
import { Act, attempt, Dialog } from '../parts/feedback';
import { saveFile } from '../parts/files';
import { may, session } from '../session';
import { useLatency } from './latency';
import { ScreenLink, type ScreenState } from './screen_link';
import { Presence, SeatButtons, SeatQuestion } from './seat';

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

const layouts = ['us', 'gb', 'be', 'br', 'ca', 'ch', 'cz', 'de', 'dk', 'es', 'fi', 'fr', 'hu', 'it',
  'nl', 'no', 'pl', 'pt', 'se', 'tr'];

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
  const mine = writer !== '' && text(view.value, 'writer_session') === session.value?.uri.split('/').pop();
  const seat = { path: '/HOST/screen', name: 'the screen', view: view.value, mine } as const;
  const latency = useLatency();
  const kvms = useTarget('/SP/services/kvms', 1);
  const current = text(kvms.view.value, 'keyboard_layout');
  const lights = view.value?.Properties?.['keyboard_lights']?.Values ?? [];
  return (
    <section class="console" aria-labelledby="screen-title" ref={frame}>
      <div class="console-bar">
        <h2 id="screen-title">Screen</h2>
        <span role="status" class={state.value === 'open' ? 'badge good' : 'badge'}>
          {state.value === 'open'
            ? !keys
              ? 'View only'
              : mine
                ? 'You type'
                : writer
                  ? `${writer} types`
                  : 'Open'
            : state.value === 'away'
              ? 'Reconnecting …'
              : 'Connecting …'}
        </span>
        {state.value === 'open' && <SeatButtons {...seat} take={() => link.current?.open(true)} />}
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
      <SeatQuestion {...seat} />
      <div class="screen" ref={place} />
      <div class="console-foot faint small">
        <span>{text(view.value, 'resolution') || 'The host is off'}</span>
        <span title="Round trip to the service processor">
          {latency.value === null ? 'No answer' : `${latency.value} ms`}
        </span>
        <span>{lights.length > 0 ? lights.join(', ') : 'No keyboard light'}</span>
        <Presence view={view.value} name="the screen" />
      </div>
      {pasting.value && (
        <Dialog title="Type a text" onClose={() => (pasting.value = false)}>
          <form class="fields" onSubmit={(event) => void type(event)}>
            <div class="field">
              <label for="layout">Keyboard layout that the host expects</label>
              <select id="layout" value={current} disabled={!may('a')}
                onChange={(event) => {
                  const chosen = event.currentTarget.value;
                  void attempt(() => set('/SP/services/kvms', { keyboard_layout: chosen }).then(() => undefined));
                }}>
                {[...new Set([current, ...layouts])].map((one) => <option key={one} value={one}>{one}</option>)}
              </select>
            </div>
            <div class="field">
              <label for="typed">Text, typed as keys</label>
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
