// Who is told of changes by HTTP: added, looked at, removed.
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { run, text } from '../api';
import { useTarget } from '../live';
import { Act, ask, attempt } from '../parts/feedback';
import { may } from '../session';

const base = '/SP/alertmgmt/webhooks';

export function Webhooks(): JSX.Element | null {
  const { view, error } = useTarget(base, 2);
  const address = useSignal('');
  const secret = useSignal('');
  const hooks = view.value?.Targets ?? [];
  const add = async (event: Event): Promise<void> => {
    event.preventDefault();
    const taken = new Set(hooks.map((one) => one.Name));
    let name = 1;
    while (taken.has(String(name))) ++name;
    const properties: Record<string, string> = { destination: address.value };
    if (secret.value) properties.secret = secret.value;
    if (await attempt(() => run(`${base}/${name}`, 'create', { properties }), 'The webhook is added.'))
      address.value = secret.value = '';
  };
  const remove = async (name: string): Promise<void> => {
    if (await ask('Delete the webhook', 'Its receiver is told nothing more.', 'Delete', true))
      await attempt(() => run(`${base}/${name}`, 'delete'), 'The webhook is deleted.');
  };
  if (error.value) return null;
  return (
    <section class="card" aria-labelledby="webhooks">
      <h2 id="webhooks">Webhooks</h2>
      <ul class="events">
        {hooks.map((one) => (
          <li key={one.Name}>
            <span>
              <code>{text(one, 'destination')}</code>
              <br />
              <span class="faint">{text(one, 'status')}</span>
            </span>
            <Act disabled={!may('a')} label={'Delete webhook ' + one.Name} work={() => remove(one.Name)}>Delete</Act>
          </li>
        ))}
      </ul>
      <form class="fields" onSubmit={(event) => void add(event)}>
        <div class="field">
          <label for="hook-address">Address of the receiver</label>
          <input id="hook-address" type="url" value={address.value} disabled={!may('a')} placeholder="https://example.com/events"
            onInput={(event) => (address.value = event.currentTarget.value)} />
        </div>
        <div class="field">
          <label for="hook-secret">Secret that signs the events</label>
          <input id="hook-secret" type="password" autocomplete="new-password" value={secret.value} disabled={!may('a')}
            onInput={(event) => (secret.value = event.currentTarget.value)} />
        </div>
        <div class="actions">
          <button class="primary" disabled={!may('a') || !address.value}>Add</button>
        </div>
      </form>
    </section>
  );
}
