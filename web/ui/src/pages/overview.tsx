import type { JSX } from 'preact';
import { lazy } from '../parts/lazy';
import { text } from '../api';
import { useTarget } from '../live';
import { Problem } from '../parts/feedback';
import { Power } from '../parts/power';
import { Facts } from '../parts/target_form';

const Thumbnail = lazy(() => import('../console/thumbnail').then((module) => module.Thumbnail));

function Badge(props: { good: boolean; children: string }): JSX.Element {
  return <span class={props.good ? 'badge good' : 'badge'}>{props.children}</span>;
}

function RecentEvents(): JSX.Element {
  const { view } = useTarget('/SP/logs/event/list', 1, ['/SP/logs/event']);
  const rows = view.value?.Table?.Rows.slice(0, 7).map((row) => row.Cells) ?? [];
  return (
    <section class="card" aria-labelledby="recent">
      <h2 id="recent">Recent events</h2>
      <ul class="events">
        {rows.map((row) => (
          <li key={row[0]} class={row[4] === 'info' ? '' : 'warn'}>
            <time>{row[1].replace(/^\w+ /, '').replace(/ \d{4}$/, '')}</time>
            <span>{row[5]}</span>
          </li>
        ))}
      </ul>
      <a href="#/logs">All logs</a>
    </section>
  );
}

function OpenProblems(): JSX.Element | null {
  const { view } = useTarget('/System/Open_Problems', 1, ['/System', '/HOST', '/SYS', '/SP/services/kvms']);
  const rows = view.value?.Table?.Rows.map((row) => row.Cells) ?? [];
  if (!view.value) return null;
  if (rows.length === 0) return <p>No open problems.</p>;
  return (
    <ul class="events" aria-label="Open problems">
      {rows.map((row) => (
        <li key={row.join()} class="warn">
          <time>{row[0].replace(/^\w+ /, '').replace(/ \d{4}$/, '')}</time>
          <span>{row[1]}, {row[2]}: {row[3]}</span>
        </li>
      ))}
    </ul>
  );
}

function Presence(): JSX.Element {
  const { view } = useTarget('/SP/sessions', 2);
  const screen = useTarget('/HOST/screen', 1);
  const rows = view.value?.Targets ?? [];
  const viewers = screen.view.value?.Properties?.['viewers']?.Values ?? [];
  return (
    <section class="card" aria-labelledby="present">
      <h2 id="present">Who is here</h2>
      <ul class="events">
        {rows.map((one) => (
          <li key={one.Name}>
            <span>{text(one, 'username')}</span>
            <span class="faint">
              {text(one, 'type')} from {text(one, 'source') || 'here'}
            </span>
          </li>
        ))}
        {viewers.map((one, at) => (
          <li key={one + at}>
            <span>Screen</span>
            <span class="faint">{one}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

export function Overview(): JSX.Element {
  const system = useTarget('/System', 3, ['/HOST', '/SYS']);
  const host = useTarget('/HOST', 1, ['/System', '/SYS']);
  const sp = useTarget('/SP', 1);
  const media = useTarget('/SP/services/kvms/host_storage_device', 2);
  const { view } = system;
  const health = text(view.value, 'health') || '…';
  const status = text(media.view.value, 'status') || 'disabled';
  const inside = (name: string, property: string): string =>
    text(view.value?.Targets?.find((one) => one.Name === name), property);
  return (
    <>
      <header class="page-head">
        <h1>Overview</h1>
        <Power />
      </header>
      <Problem text={system.error.value} />
      <div class="grid">
        <section class="card" aria-labelledby="host-title">
          <h2 id="host-title">
            Host <Badge good={text(view.value, 'power_state') === 'On'}>
              {text(host.view.value, 'status') || 'Unknown'}
            </Badge>
          </h2>
          <a class="thumbnail" href="#/console" aria-label="Open the console">
            <div aria-hidden="true">
              <Thumbnail />
            </div>
          </a>
          {text(host.view.value, 'status_detail') && <p>{text(host.view.value, 'status_detail')}</p>}
        </section>
        <section class="card" aria-labelledby="problems">
          <h2 id="problems">
            Health <Badge good={health === 'OK'}>{health}</Badge>
          </h2>
          <OpenProblems />
          <Facts
            rows={[
              ['Virtual CD', status + (text(media.view.value, 'volume_id') ? `: ${text(media.view.value, 'volume_id')}` : '')],
              ['Next boot', text(host.view.value, 'boot_device')],
              ['Processors', inside('Processors', 'installed_cpus')],
              ['Memory', inside('Memory', 'installed_memory')],
              ['Disks', inside('Storage', 'installed_disks')],
              ['Network', inside('Networking', 'installed_eth_nics')],
            ]}
          />
        </section>
        <section class="card" aria-labelledby="identity">
          <h2 id="identity">Identity</h2>
          <Facts
            rows={[
              ['Name', text(view.value, 'system_identifier') || text(sp.view.value, 'current_hostname')],
              ['Model', [text(view.value, 'manufacturer'), text(view.value, 'model')].filter(Boolean).join(' ')],
              ['Serial number', text(view.value, 'serial_number')],
              ['UUID', text(view.value, 'uuid')],
              ['Machine', [text(view.value, 'machine'), text(view.value, 'firmware')].filter(Boolean).join(', ')],
              ['MAC address', text(view.value, 'host_primary_mac_address')],
              ['Service processor', text(sp.view.value, 'system_description')],
            ]}
          />
        </section>
        <RecentEvents />
        <Presence />
      </div>
    </>
  );
}
