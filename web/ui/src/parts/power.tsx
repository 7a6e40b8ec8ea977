// Power: what may be done now, each with its question.
import type { JSX } from 'preact';
import { run, text } from '../api';
import { useTarget } from '../live';
import { may } from '../session';
import { Act, ask, attempt } from './feedback';

const order = (verb: string, force: boolean, heading: string, question: string) =>
  async (): Promise<void> => {
    if (question && !(await ask(heading, question, heading, verb !== 'start'))) return;
    await attempt(() => run('/System', verb, { force }));
  };

export function Power(): JSX.Element {
  const { view } = useTarget('/System', 1, ['/HOST', '/SYS']);
  const on = text(view.value, 'power_state') === 'On';
  const known = view.value !== null;
  const mine = may('r');
  const why = mine ? undefined : 'Your account lacks the role r (reset and host control).';
  return (
    <div class="actions" role="group" aria-label="Power">
      <Act class="primary" disabled={!mine || !known || on} title={why}
        work={order('start', false, 'Power on', '')}>
        Power on
      </Act>
      <Act disabled={!mine || !on} title={why}
        work={order('stop', false, 'Shut down', 'Asks the guest to shut down. It may take its time.')}>
        Shut down
      </Act>
      <Act disabled={!mine || !on} title={why}
        work={order('reset', false, 'Reset', 'Resets the host at once; the guest is not asked.')}>
        Reset
      </Act>
      <Act class="danger" disabled={!mine || !on} title={why}
        work={order('stop', true, 'Power off', 'Cuts the power at once; what the guest has not written is lost.')}>
        Power off
      </Act>
    </div>
  );
}
