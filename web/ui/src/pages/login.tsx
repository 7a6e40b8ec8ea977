import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { Problem } from '../parts/feedback';
import { logIn, sessionNote } from '../session';

export function Login(): JSX.Element {
  const error = useSignal('');
  const busy = useSignal(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    busy.value = true;
    error.value = '';
    try {
      await logIn(String(data.get('user')), String(data.get('password')));
    } catch (fault) {
      error.value = (fault as Error).message;
      form.querySelector<HTMLInputElement>('#password')?.select();
    }
    busy.value = false;
  };
  return (
    <main class="login">
      <form class="card" onSubmit={(event) => void submit(event as unknown as SubmitEvent)}>
        <h1>
          <img src="/icon.svg" alt="" width="28" height="28" /> OpenLOM
        </h1>
        <p class="faint">Service processor of this host</p>
        {sessionNote.value && <p role="status">{sessionNote.value}</p>}
        <div class="field">
          <label for="user">User name</label>
          <input id="user" name="user" autocomplete="username" required autofocus />
        </div>
        <div class="field">
          <label for="password">Password</label>
          <input id="password" name="password" type="password" autocomplete="current-password" required />
        </div>
        <Problem text={error.value} />
        <button class="primary wide" disabled={busy.value} aria-busy={busy.value}>
          {busy.value ? 'Logging in …' : 'Log in'}
        </button>
      </form>
    </main>
  );
}
