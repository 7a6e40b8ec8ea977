// Who is logged in. The token is in a cookie that no script sees; what is kept here is no secret.
import { signal } from '@preact/signals';
import { request, whenUnauthorized } from './api';

export interface Session {
  uri: string;
  account: string;
  roles: string;
  hostname: string;
}

const key = 'openlom-session';

export const session = signal<Session | null>(null);
export const sessionNote = signal('');

interface SessionAnswer {
  '@odata.id': string;
  UserName: string;
  Oem: { OpenLOM: { Roles: string; Hostname: string } };
}

const sessions = '/redfish/v1/SessionService/Sessions';

export async function logIn(user: string, password: string): Promise<void> {
  const answer = await request<SessionAnswer>('POST', sessions, {
    UserName: user,
    Password: password,
    Oem: { OpenLOM: { Cookie: true } },
  });
  const mine = {
    uri: answer['@odata.id'],
    account: answer.UserName,
    roles: answer.Oem.OpenLOM.Roles,
    hostname: answer.Oem.OpenLOM.Hostname,
  };
  localStorage.setItem(key, JSON.stringify(mine));
  sessionNote.value = '';
  session.value = mine;
}

function forget(note: string): void {
  localStorage.removeItem(key);
  sessionNote.value = note;
  session.value = null;
}

export async function logOut(): Promise<void> {
  const mine = session.value;
  try {
    if (mine) await request('DELETE', mine.uri);
  } finally {
    forget('You have logged out.');
  }
}

/** The session of an earlier load of the page, if the service processor still knows it. */
export async function resume(): Promise<void> {
  const kept = localStorage.getItem(key);
  if (!kept) return;
  try {
    const mine = JSON.parse(kept) as Session;
    await request('GET', mine.uri);
    session.value = mine;
  } catch {
    forget('');
  }
}

export function watchSession(): void {
  whenUnauthorized(() => {
    if (session.value) forget('Your session has ended. Log in again.');
  });
}

/** Whether one of the letters is among the account's roles; '' is everybody. */
export function may(letters: string): boolean {
  const mine = session.value?.roles ?? '';
  return letters === '' || [...letters].some((letter) => mine.includes(letter));
}
