// One of the host's virtual drives: what is in it and how that goes, and putting images in and out.
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { child, request, set, text, type TargetView } from '../api';
import { useTarget } from '../live';
import { may } from '../session';
import { Act, ask, attempt, Dialog, Problem } from './feedback';
import { Facts, TargetForm } from './target_form';

export interface Drive {
  id: string; // Redfish's VirtualMedia, and this page's
  name: string;
  path: string;
  tray: boolean;
}

export const drives: Drive[] = [
  { id: 'Cd', name: 'Virtual CD', path: '/SP/services/kvms/host_storage_device', tray: true },
  { id: 'Cd2', name: 'Second virtual CD', path: '/SP/services/kvms/host_storage_device2', tray: true },
  { id: 'Usb', name: 'Virtual USB disk', path: '/SP/services/kvms/host_usb_device', tray: false },
];

export const library = '/SP/media';
const may_insert = 'ac';

export const addressOf = (drive: TargetView | null): string =>
  text(child(drive, 'remote'), 'server_URI').replace(/^browser:.*/, '');

/** Asks for what goes into which drive. `image` is an address to begin with. */
export function InsertDialog(props: { drive: Drive; image?: string; close: () => void }): JSX.Element {
  const id = useSignal(props.drive.id);
  const drive = drives.find((one) => one.id === id.value) ?? props.drive;
  const before = useTarget(drive.path, 2).view.value;
  const images = useTarget(library, 1).view.value?.Targets ?? [];
  const uri = useSignal(props.image ?? '');
  const user = useSignal('');
  const password = useSignal('');
  const writable = useSignal(false);
  const busy = useSignal(false);
  const error = useSignal('');
  const wanted = uri.value || addressOf(before);
  const ours = wanted.startsWith(library + '/');
  const insert = async (event: Event): Promise<void> => {
    event.preventDefault();
    busy.value = true;
    error.value = '';
    const body: Record<string, unknown> = { Image: wanted };
    if (user.value) body.UserName = user.value;
    if (password.value) body.Password = password.value;
    if (writable.value && ours && !drive.tray) body.WriteProtected = false;
    try {
      const actions = `/redfish/v1/Systems/host0/VirtualMedia/${drive.id}/Actions/VirtualMedia.`;
      await request<void>('POST', actions + 'InsertMedia', body);
      props.close();
    } catch (fault) {
      error.value = (fault as Error).message;
    }
    busy.value = false;
  };
  return (
    <Dialog title="Insert an image" onClose={props.close}>
      <form class="fields" onSubmit={(event) => void insert(event)}>
        <div class="field">
          <label for="insert-drive">Drive</label>
          <select id="insert-drive" value={id.value} onChange={(event) => (id.value = event.currentTarget.value)}>
            {drives.map((one) => (
              <option key={one.id} value={one.id}>{one.name}</option>
            ))}
          </select>
        </div>
        <div class="field">
          <label for="uri">Address</label>
          <input id="uri" value={uri.value} spellcheck={false} list="library-images" aria-describedby="uri-doc"
            placeholder={addressOf(before) || 'sftp://server/path/image.iso'}
            onInput={(event) => (uri.value = event.currentTarget.value)} />
          <datalist id="library-images">
            {images.map((image) => (
              <option key={image.Name} value={image.Path} />
            ))}
          </datalist>
          <small id="uri-doc">
            sftp://, https://, http://, nfs:// or smb://, or {library}/IMAGE of the library.
          </small>
        </div>
        {!ours && (
          <>
            <div class="field">
              <label for="media-user">User name</label>
              <input id="media-user" value={user.value} autocomplete="off"
                placeholder={text(child(before, 'remote'), 'username')}
                onInput={(event) => (user.value = event.currentTarget.value)} />
            </div>
            <div class="field">
              <label for="media-password">Password</label>
              <input id="media-password" type="password" value={password.value} autocomplete="new-password"
                aria-describedby="password-doc"
                onInput={(event) => (password.value = event.currentTarget.value)} />
              <small id="password-doc">
                Kept by the service processor, never shown. Empty: what it has already.
              </small>
            </div>
          </>
        )}
        {ours && !drive.tray && (
          <label class="check">
            <input type="checkbox" checked={writable.value}
              onChange={(event) => (writable.value = event.currentTarget.checked)} />
            The host may write to it
          </label>
        )}
        <Problem text={error.value} />
        {busy.value && <progress aria-label="The image is being opened" />}
        <div class="actions">
          <button type="button" onClick={props.close}>Cancel</button>
          <button class="primary" disabled={busy.value || !wanted} aria-busy={busy.value}>Insert</button>
        </div>
      </form>
    </Dialog>
  );
}

const some = (rows: [string, JSX.Element | string][]): [string, JSX.Element | string][] =>
  rows.filter(([, value]) => value !== '');

/** Rows that say how the reading goes, while there is something to read. */
function figures(view: TargetView | null): [string, JSX.Element | string][] {
  return some([
    ['Volume', text(view, 'volume_id')],
    ['Size', text(view, 'size')],
    ['Here already', text(view, 'fill')],
    ['Rate', text(view, 'rate')],
    ['Latency', text(view, 'latency')],
    ['Away since', text(view, 'unavailable_since')],
    ['Last error', text(view, 'last_error')],
    ['Server key', text(child(view, 'remote'), 'host_key_fingerprint')],
  ]);
}

export function DriveCard(props: { drive: Drive }): JSX.Element {
  const { drive } = props;
  const { view, error } = useTarget(drive.path, 2);
  const inserting = useSignal(false);
  const status = text(view.value, 'status') || '…';
  const inside = text(view.value, 'mode') === 'remote';
  const locked = drive.tray && /ejecting|tray locked/.test(status);
  const pending = /connect|starting|pending|wait/i.test(status);
  const mine = may(may_insert);
  const name = text(child(view.value, 'local'), 'file') || addressOf(view.value);
  const eject = (): Promise<boolean> => attempt(() => set(drive.path, { mode: 'disabled' }));
  const force = async (): Promise<void> => {
    const sentence = 'The guest has locked the tray. What it reads of the image from now on fails.';
    if (await ask('Force the image out', sentence, 'Force eject', true))
      await attempt(() => set(drive.path, { force_eject: true }), 'The drive is empty.');
  };
  const id = 'drive-' + drive.id;
  return (
    <section class="card drive" aria-labelledby={id}>
      <h2 id={id}>
        {drive.name}
        <span class={status === 'operational' ? 'badge good' : 'badge'} role="status">
          {status === 'disabled' ? 'empty' : status}
        </span>
      </h2>
      <Problem text={error.value} />
      {inside || locked ? (
        <Facts rows={[['Image', name], ...some([['Detail', text(view.value, 'status_detail')]]), ...figures(view.value)]} />
      ) : (
        <p class="faint">{text(view.value, 'status_detail') || 'No image is in the drive.'}</p>
      )}
      {pending && <progress aria-label="The image is being opened" />}
      <div class="actions">
        <button type="button" disabled={!mine} aria-label={`Insert: ${drive.name}`} onClick={() => (inserting.value = true)}>
          Insert …
        </button>
        <Act disabled={!mine || !inside} label={`Eject: ${drive.name}`} work={eject}>Eject</Act>
        {locked && (
          <Act class="danger" disabled={!mine} label={`Force eject: ${drive.name}`} work={force}>Force eject</Act>
        )}
      </div>
      <Settings drive={drive} view={view.value} />
      {inserting.value && <InsertDialog drive={drive} close={() => (inserting.value = false)} />}
    </section>
  );
}

/** How the drive treats its servers; looked at seldom. */
function Settings(props: { drive: Drive; view: TargetView | null }): JSX.Element {
  const open = useSignal(false);
  return (
    <details onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>Outages, caches and server keys</summary>
      {open.value && <SettingsForms path={props.drive.path} />}
    </details>
  );
}

function SettingsForms(props: { path: string }): JSX.Element {
  const device = useTarget(props.path, 1);
  const remote = useTarget(props.path + '/remote', 1);
  return (
    <div class="stack">
      <TargetForm view={device.view.value} only={['on_outage', 'outage_timeout', 'cache_size', 'disk_cache_size']} />
      <TargetForm view={remote.view.value} only={['ssh_key', 'tls_ca', 'tls_pin', 'forget_host_key']} />
    </div>
  );
}
