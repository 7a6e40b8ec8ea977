import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { child, request, set, text } from '../api';
import { useTarget } from '../live';
import { Act, attempt, Problem } from '../parts/feedback';
import { LocalDrive } from '../parts/local_drive';
import { Facts, TargetForm } from '../parts/target_form';
import { may } from '../session';

const drive = '/SP/services/kvms/host_storage_device';
const actions = '/redfish/v1/Systems/host0/VirtualMedia/Cd/Actions/VirtualMedia.';

export function Media(): JSX.Element {
  const { view, error } = useTarget(drive, 2);
  const remote = child(view.value, 'remote');
  const local = child(view.value, 'local');
  const address = text(remote, 'server_URI').replace(/^browser:.*/, '');
  const uri = useSignal('');
  const user = useSignal('');
  const password = useSignal('');
  const busy = useSignal(false);
  const status = text(view.value, 'status') || '…';
  const inside = text(view.value, 'mode') === 'remote';
  const mine = may('ac');
  const insert = async (event: Event): Promise<void> => {
    event.preventDefault();
    busy.value = true;
    const body: Record<string, unknown> = { Image: uri.value || address };
    if (user.value) body.UserName = user.value;
    if (password.value) body.Password = password.value;
    const done = await attempt(
      () => request<void>('POST', actions + 'InsertMedia', body),
      'The image is being put into the drive.',
    );
    if (done) password.value = '';
    busy.value = false;
  };
  return (
    <>
      <header class="page-head">
        <h1>Media</h1>
        <Act disabled={!mine || !inside} work={() => attempt(() => set(drive, { mode: 'disabled' }), 'The drive is empty.')}>
          Eject
        </Act>
      </header>
      <Problem text={error.value} />
      <div class="grid">
        <section class="card" aria-labelledby="drive">
          <h2 id="drive">Virtual CD</h2>
          <div role="status">
            <Facts
              rows={[
                ['Status', <span class={status === 'operational' ? 'badge good' : 'badge'}>{status}</span>],
                ['Detail', text(view.value, 'status_detail')],
                ['Image', inside ? text(local, 'file') || address : ''],
                ['Volume', text(view.value, 'volume_id')],
                ['Size', text(view.value, 'size')],
                ['Server key', text(remote, 'host_key_fingerprint')],
              ]}
            />
          </div>
          {(busy.value || /connect|mount|pending|wait/i.test(status)) && <progress aria-label="The image is being opened" />}
        </section>
        <form class="card fields" aria-labelledby="insert" onSubmit={(event) => void insert(event)}>
          <h2 id="insert">Insert an image</h2>
          <div class="field">
            <label for="uri">Address</label>
            <input id="uri" value={uri.value} disabled={!mine} spellcheck={false} aria-describedby="uri-doc"
              placeholder={address || 'sftp://server/path/image.iso'}
              onInput={(event) => (uri.value = event.currentTarget.value)} />
            <small id="uri-doc">sftp://, https://, http://, nfs:// or smb://, as the shell takes it.</small>
          </div>
          <div class="field">
            <label for="media-user">User name</label>
            <input id="media-user" value={user.value} disabled={!mine} autocomplete="off"
              placeholder={text(remote, 'username')}
              onInput={(event) => (user.value = event.currentTarget.value)} />
          </div>
          <div class="field">
            <label for="media-password">Password</label>
            <input id="media-password" type="password" value={password.value} disabled={!mine}
              autocomplete="new-password" onInput={(event) => (password.value = event.currentTarget.value)} />
            <small>Kept by the service processor, never shown. Empty: what it has already.</small>
          </div>
          <div class="actions">
            <button class="primary" disabled={!mine || busy.value || !(uri.value || address)} aria-busy={busy.value}>
              Insert
            </button>
          </div>
        </form>
        <LocalDrive drive={view.value} local={local} />
        <section class="card" aria-labelledby="key">
          <h2 id="key">Server keys</h2>
          <RemoteKeys />
        </section>
      </div>
    </>
  );
}

function RemoteKeys(): JSX.Element {
  const { view } = useTarget(drive + '/remote', 1);
  return <TargetForm view={view.value} only={['ssh_key', 'forget_host_key']} />;
}
