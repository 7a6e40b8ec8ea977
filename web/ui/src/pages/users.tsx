import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { run, set, text, type TargetView } from '../api';
import { useTarget } from '../live';
import { Act, ask, attempt, Dialog, Problem } from '../parts/feedback';
import { title } from '../parts/target_form';
import { may, session } from '../session';

const roles: [string, string][] = [
  ['a', 'Admin'],
  ['u', 'User management'],
  ['c', 'Console'],
  ['r', 'Reset and host control'],
  ['o', 'Read only'],
  ['s', 'Service'],
];

function AccountDialog(props: { target: TargetView | null; close: () => void }): JSX.Element {
  const { target } = props;
  const name = useSignal('');
  const password = useSignal('');
  const role = useSignal(target ? text(target, 'role') : 'o');
  const locked = useSignal(target?.Properties?.['locked']?.Value === true);
  const error = useSignal('');
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      if (!target) {
        await run('/SP/users/' + name.value, 'create', {
          properties: { role: role.value, password: password.value },
        });
      } else {
        const values: Record<string, unknown> = {};
        if (role.value !== text(target, 'role')) values['role'] = role.value;
        if (password.value) values['password'] = password.value;
        if (locked.value !== (target.Properties?.['locked']?.Value === true)) values['locked'] = locked.value;
        if (Object.keys(values).length) await set(target.Path, values);
      }
      props.close();
    } catch (fault) {
      error.value = (fault as Error).message;
    }
  };
  return (
    <Dialog title={target ? 'Account ' + target.Name : 'New account'} onClose={props.close}>
      <form class="fields" onSubmit={(event) => void save(event)}>
        {!target && (
          <div class="field">
            <label for="account-name">Name</label>
            <input id="account-name" required autocomplete="off" value={name.value}
              onInput={(event) => (name.value = event.currentTarget.value)} />
          </div>
        )}
        <div class="field">
          <label for="account-password">Password</label>
          <input id="account-password" type="password" autocomplete="new-password" required={!target}
            value={password.value} onInput={(event) => (password.value = event.currentTarget.value)} />
          <small>8 to 256 characters.{target ? ' Empty: as it is.' : ''}</small>
        </div>
        <fieldset>
          <legend>Roles</legend>
          {roles.map(([letter, meaning]) => (
            <label class="check" key={letter}>
              <input type="checkbox" checked={role.value.includes(letter)}
                onChange={(event) => {
                  const others = role.value.replace(letter, '');
                  const all = event.currentTarget.checked ? others + letter : others;
                  role.value = roles.map(([one]) => one).filter((one) => all.includes(one)).join('');
                }} />
              {meaning} <span class="faint">({letter})</span>
            </label>
          ))}
        </fieldset>
        {target && (
          <label class="check">
            <input type="checkbox" checked={locked.value}
              onChange={(event) => (locked.value = event.currentTarget.checked)} />
            Locked: takes no password; SSH keys still open it
          </label>
        )}
        <Problem text={error.value} />
        <div class="actions">
          <button type="button" onClick={props.close}>Cancel</button>
          <button class="primary">{target ? 'Save' : 'Create'}</button>
        </div>
      </form>
    </Dialog>
  );
}

function Keys(props: { user: string; close: () => void }): JSX.Element {
  const base = `/SP/users/${props.user}/ssh/keys`;
  const { view } = useTarget(base, 2);
  const added = useSignal('');
  const free = view.value?.Targets?.find((one) => !text(one, 'fingerprint'));
  return (
    <Dialog title={'SSH keys of ' + props.user} onClose={props.close}>
      <ul class="events">
        {view.value?.Targets?.filter((one) => text(one, 'fingerprint')).map((one) => (
          <li key={one.Name}>
            <span>
              {text(one, 'algorithm')} {text(one, 'embedded_comment')}
              <br />
              <code>{text(one, 'fingerprint')}</code>
            </span>
            <Act label={'Delete key ' + one.Name}
              work={() => attempt(() => set(one.Path, { clear_action: true }), 'The key is deleted.')}>
              Delete
            </Act>
          </li>
        ))}
      </ul>
      {free ? (
        <div class="field">
          <label for="new-key">New public key</label>
          <textarea id="new-key" rows={3} spellcheck={false} value={added.value} placeholder="ssh-ed25519 AAAA… name"
            onInput={(event) => (added.value = event.currentTarget.value)} />
        </div>
      ) : <p>All places are taken. Delete a key to add another.</p>}
      <div class="actions">
        <button onClick={props.close}>Close</button>
        <Act class="primary" disabled={!free || !added.value}
          work={async () => {
            if (free && (await attempt(() => set(free.Path, { publickey: added.value.trim() }), 'The key is added.')))
              added.value = '';
          }}>
          Add
        </Act>
      </div>
    </Dialog>
  );
}

function Sessions(): JSX.Element {
  const { view } = useTarget('/SP/sessions', 2);
  const own = session.value?.uri.split('/').pop();
  const end = async (one: TargetView): Promise<void> => {
    if (await ask('End the session', `${text(one, 'username')} loses its consoles at once.`, 'End', true))
      await attempt(() => run(one.Path, 'delete'), 'The session has ended.');
  };
  const columns = ['username', 'type', 'source', 'starttime', 'idletime'];
  return (
    <section class="card wide-card" aria-labelledby="sessions">
      <h2 id="sessions">Sessions</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="Sessions, table">
        <table>
          <thead>
            <tr>
              {columns.map((name) => <th scope="col" key={name}>{title(name)}</th>)}
              <td />
            </tr>
          </thead>
          <tbody>
            {view.value?.Targets?.map((one) => (
              <tr key={one.Name}>
                {columns.map((name) => <td key={name}>{text(one, name)}</td>)}
                <td>
                  {one.Name === own ? <span class="faint">this one</span> : (
                    <Act disabled={!may('u')} label={'End session ' + one.Name} work={() => end(one)}>End</Act>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

export function Users(): JSX.Element {
  const { view, error } = useTarget('/SP/users', 2);
  const edited = useSignal<TargetView | 'new' | null>(null);
  const keysOf = useSignal('');
  const remove = async (one: TargetView): Promise<void> => {
    if (await ask('Delete ' + one.Name, 'The account goes, and its sessions end.', 'Delete', true))
      await attempt(() => run(one.Path, 'delete'), one.Name + ' is deleted.');
  };
  return (
    <>
      <header class="page-head">
        <h1>Users</h1>
        <button class="primary" disabled={!may('u')} onClick={() => (edited.value = 'new')}>New account</button>
      </header>
      <Problem text={error.value} />
      <div class="grid">
        <section class="card wide-card" aria-labelledby="accounts">
          <h2 id="accounts">Accounts</h2>
          <div class="scroll" tabIndex={0} role="region" aria-label="Accounts, table">
            <table>
              <thead>
                <tr><th scope="col">Name</th><th scope="col">Roles</th><th scope="col">State</th><td /></tr>
              </thead>
              <tbody>
                {view.value?.Targets?.map((one) => (
                  <tr key={one.Name}>
                    <th scope="row">{one.Name}</th>
                    <td>
                      {roles.filter(([letter]) => text(one, 'role').includes(letter)).map(([, name]) => name).join(', ')}
                    </td>
                    <td>{one.Properties?.['locked']?.Value === true ? 'locked' : 'open'}</td>
                    <td class="actions">
                      <button disabled={!may('u')} aria-label={'Edit ' + one.Name} onClick={() => (edited.value = one)}>Edit</button>
                      <button aria-label={'SSH keys of ' + one.Name} onClick={() => (keysOf.value = one.Name)}>Keys</button>
                      <Act disabled={!may('u')} label={'Delete ' + one.Name} work={() => remove(one)}>Delete</Act>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
        <Sessions />
      </div>
      {edited.value && (
        <AccountDialog target={edited.value === 'new' ? null : edited.value} close={() => (edited.value = null)} />
      )}
      {keysOf.value && <Keys user={keysOf.value} close={() => (keysOf.value = '')} />}
    </>
  );
}
