import type { JSX } from 'preact';
import { useTarget } from '../live';
import { Webhooks } from './webhooks';
import { TargetForm } from '../parts/target_form';

function Part(props: { path: string; heading: string; skip?: string[] }): JSX.Element | null {
  const { view, error } = useTarget(props.path, 1);
  if (error.value) return null; // not every service processor has every service
  return (
    <section class="card" aria-label={props.heading}>
      <h2>{props.heading}</h2>
      <TargetForm view={view.value} skip={props.skip} />
    </section>
  );
}

export function Services(): JSX.Element {
  return (
    <>
      <header class="page-head">
        <h1>Services</h1>
      </header>
      <div class="grid">
        <Part path="/SP/services/https" heading="HTTPS" />
        <Part path="/SP/services/https/ssl" heading="Certificate" />
        <Part path="/SP/services/ssh" heading="SSH" />
        <Part path="/SP/services/kvms" heading="Screen and keyboard" />
        <Part path="/SP/services/kvms/vnc" heading="VNC" />
        <Part path="/HOST/console" heading="Serial console" />
        <Part path="/SP/preferences/password_policy/account_lockout" heading="Account lockout" />
        <Part path="/SP/preferences/banner" heading="Banner" />
        <Webhooks />
      </div>
    </>
  );
}

export function Processor(): JSX.Element {
  const sp = useTarget('/SP', 1);
  return (
    <>
      <header class="page-head">
        <h1>Service processor</h1>
      </header>
      <div class="grid">
        <section class="card" aria-label="Identity">
          <h2>Version and identity</h2>
          <TargetForm view={sp.view.value} />
        </section>
        <Part path="/SP/network" heading="Network" />
        <Part path="/SP/cli" heading="Shell" />
      </div>
    </>
  );
}
