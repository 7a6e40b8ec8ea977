import { effect, signal } from '@preact/signals';
import { render, type ComponentType, type JSX } from 'preact';
import { connected, startEvents, useTarget } from './live';
import { attempt, Notes, Questions } from './parts/feedback';
import { lazy } from './parts/lazy';
import { Boot } from './pages/boot';
import { Hardware } from './pages/hardware';
import { Login } from './pages/login';
import { Logs } from './pages/logs';
import { Media } from './pages/media';
import { Overview } from './pages/overview';
import { Processor, Services } from './pages/services';
import { Users } from './pages/users';
import { logOut, resume, session, watchSession } from './session';
import { text } from './api';
import './style.css';

const Console = lazy(() => import('./console/console').then((module) => module.Console));

const pages: { name: string; heading: string; page: ComponentType }[] = [
  { name: 'overview', heading: 'Overview', page: Overview },
  { name: 'console', heading: 'Console', page: Console },
  { name: 'media', heading: 'Media', page: Media },
  { name: 'boot', heading: 'Boot', page: Boot },
  { name: 'hardware', heading: 'Hardware', page: Hardware },
  { name: 'users', heading: 'Users', page: Users },
  { name: 'logs', heading: 'Logs', page: Logs },
  { name: 'services', heading: 'Services', page: Services },
  { name: 'processor', heading: 'Service processor', page: Processor },
];

const route = signal(location.hash.slice(2));
const ready = signal(false);
addEventListener('hashchange', () => {
  route.value = location.hash.slice(2);
  document.getElementById('main')?.focus();
});

function State(): JSX.Element {
  const { view } = useTarget('/System', 1, ['/HOST', '/SYS']);
  const power = text(view.value, 'power_state') || '…';
  return <span class={power === 'On' ? 'badge good' : 'badge'}>Host {power.toLowerCase()}</span>;
}

function Frame(): JSX.Element {
  const chosen = pages.find((one) => one.name === route.value) ?? pages[0];
  const Page = chosen.page;
  document.title = `${chosen.heading} · ${session.value?.hostname ?? ''} · OpenLOM`;
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        document.getElementById('main')?.focus();
      }}>
        Skip to the content
      </a>
      <header class="bar">
        <a class="brand" href="#/overview">
          <img src="/icon.svg" alt="" width="22" height="22" />
          <span>OpenLOM</span>
        </a>
        <span class="hostname">{session.value?.hostname}</span>
        <State />
        <span class="grow" />
        <span class="who">{session.value?.account}</span>
        <button onClick={() => void attempt(logOut)}>Log out</button>
      </header>
      <nav aria-label="Pages">
        {pages.map((one) => (
          <a key={one.name} href={'#/' + one.name} aria-current={one === chosen ? 'page' : undefined}>
            {one.heading}
          </a>
        ))}
      </nav>
      <main id="main" tabIndex={-1} class={chosen.name}>
        <div role="status">
          {!connected.value && (
            <p class="away">The service processor does not answer. The page goes on by itself when it is back.</p>
          )}
        </div>
        <Page key={chosen.name} />
      </main>
    </div>
  );
}

function App(): JSX.Element | null {
  if (!ready.value) return null;
  return (
    <>
      {session.value ? <Frame /> : <Login />}
      <Notes />
      <Questions />
    </>
  );
}

watchSession();
effect(() => {
  if (!session.value) return undefined;
  return startEvents();
});
void resume().finally(() => {
  ready.value = true;
});
render(<App />, document.getElementById('app')!);
