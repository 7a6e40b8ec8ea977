import type { JSX } from 'preact';
import { text } from '../api';
import { useTarget } from '../live';
import { Power } from '../parts/power';
import { TargetForm } from '../parts/target_form';

export function Boot(): JSX.Element {
  const host = useTarget('/HOST', 1);
  const mode = useTarget('/HOST/bootmode', 1);
  const atPrompt = /ok prompt|openboot/i.test(text(host.view.value, 'status') + text(host.view.value, 'status_detail'));
  return (
    <>
      <header class="page-head">
        <h1>Boot</h1>
        <Power />
      </header>
      <div class="grid">
        <section class="card" aria-labelledby="order">
          <h2 id="order">Device and order</h2>
          <TargetForm view={host.view.value} only={['boot_device', 'boot_order', 'status', 'status_detail']} />
        </section>
        <section class="card" aria-labelledby="mode">
          <h2 id="mode">Boot mode</h2>
          <TargetForm view={mode.view.value} />
        </section>
        <section class="card" aria-labelledby="prompt">
          <h2 id="prompt">The ok prompt</h2>
          <p>
            {atPrompt ? 'The host is at the ok prompt now. ' : ''}
            With the script <code>setenv auto-boot? false</code> the next start stops at the{' '}
            <code>ok</code> prompt on the serial console. There <code>boot cdrom</code> boots the virtual CD,{' '}
            <code>printenv</code> shows the variables and <code>reset-all</code> starts anew.
          </p>
          <a href="#/console">Open the console</a>
        </section>
      </div>
    </>
  );
}
