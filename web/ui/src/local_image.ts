// A file of the user's own as the host's CD: the service processor asks for ranges over a websocket,
// and gets them cut out of the file; nothing is uploaded first. One for the whole page, so that it
// goes on whichever page is looked at. The frames: kvms/media/sources/browser_source.h.
import { signal } from '@preact/signals';
import { show, text } from './api';
import { session } from './session';
import { againAfter, socketAddress } from './console/socket';

export interface Feed {
  file: File;
  state: 'connecting' | 'open' | 'away';
  sent: number; // bytes
  rate: number; // bytes a second
}

/** What is being fed; null: nothing. */
export const feed = signal<Feed | null>(null);
/** Why it ended, if not by the user. */
export const feedEnd = signal('');

const requestSize = 17;
const secondsOfRate = 3;

const reasons: Record<string, string> = {
  r: 'Another page of yours feeds the drive now.',
  f: 'That is another file than the one in the drive (its size or date differs). Choose the same one, or eject it first.',
  s: 'The file is too short to be an image.',
  p: 'The service processor did not understand the page; load it anew.',
};

let socket: WebSocket | null = null;
let timer = 0;
let clock = 0;

const closing = (event: BeforeUnloadEvent): void => event.preventDefault();

/** Puts the file into the drive, or goes on with it (`resume`). */
export function startFeed(file: File, resume: boolean): void {
  stopFeed();
  feedEnd.value = '';
  feed.value = { file, state: 'connecting', sent: 0, rate: 0 };
  addEventListener('beforeunload', closing);
  let before: number[] = [];
  clock = window.setInterval(() => {
    const now = feed.value;
    if (!now) return;
    before = [...before.slice(-secondsOfRate), now.sent];
    feed.value = { ...now, rate: (now.sent - before[0]) / Math.max(1, before.length - 1) };
  }, 1000);
  connect(file, resume);
}

export function stopFeed(why = ''): void {
  clearTimeout(timer);
  clearInterval(clock);
  removeEventListener('beforeunload', closing);
  const old = socket;
  socket = null;
  old?.close();
  feed.value = null;
  feedEnd.value = why;
}

function change(part: Partial<Feed>): void {
  if (feed.value) feed.value = { ...feed.value, ...part };
}

function hello(file: File): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(17));
  view.setUint8(0, 'H'.charCodeAt(0));
  view.setBigUint64(1, BigInt(file.size));
  view.setBigUint64(9, BigInt(file.lastModified));
  return view.buffer;
}

function connect(file: File, resume: boolean): void {
  const query = `?file=${encodeURIComponent(file.name)}${resume ? '&resume=true' : ''}`;
  const mine = new WebSocket(socketAddress('/console/media' + query));
  mine.binaryType = 'arraybuffer';
  socket = mine;
  let opened = false;
  let rest = new Uint8Array(0);
  mine.onopen = () => {
    opened = true;
    mine.send(hello(file));
    change({ state: 'open' });
  };
  mine.onmessage = (message) => {
    const data = new Uint8Array(message.data as ArrayBuffer);
    const all = new Uint8Array(rest.length + data.length);
    all.set(rest);
    all.set(data, rest.length);
    let at = 0;
    while (at < all.length) {
      if (all[at] === 'X'.charCodeAt(0))
        return stopFeed(reasons[String.fromCharCode(all[at + 1] ?? 112)] ?? reasons.p);
      if (all.length - at < requestSize) break;
      const view = new DataView(all.buffer, at, requestSize);
      void answer(mine, file, view.getUint32(1), Number(view.getBigUint64(5)), view.getUint32(13));
      at += requestSize;
    }
    rest = all.slice(at);
  };
  mine.onclose = (event) => {
    if (mine !== socket) return;
    if (event.code === 1008) return stopFeed('Your session has ended, and the image with it.');
    if (!opened && !resume)
      return stopFeed('The service processor did not take the image: the drive may be in use by somebody else.');
    change({ state: 'away' });
    timer = window.setTimeout(() => void goOn(file), againAfter);
  };
}

/** After a cut: if it is still in the drive. */
async function goOn(file: File): Promise<void> {
  try {
    const local = await show('/SP/services/kvms/host_storage_device/local', 1);
    if (!feed.value) return;
    if (text(local, 'file') === file.name) connect(file, true);
    else stopFeed('The image was ejected.');
  } catch {
    if (!session.value) return stopFeed('Your session has ended, and the image with it.');
    if (feed.value) timer = window.setTimeout(() => void goOn(file), againAfter);
  }
}

async function answer(to: WebSocket, file: File, request: number, offset: number, length: number): Promise<void> {
  try {
    const bytes = await file.slice(offset, offset + length).arrayBuffer();
    const frame = new Uint8Array(9 + bytes.byteLength);
    const head = new DataView(frame.buffer);
    head.setUint8(0, 'D'.charCodeAt(0));
    head.setUint32(1, request);
    head.setUint32(5, bytes.byteLength);
    frame.set(new Uint8Array(bytes), 9);
    if (to.readyState !== WebSocket.OPEN) return;
    to.send(frame);
    change({ sent: (feed.value?.sent ?? 0) + bytes.byteLength });
  } catch {
    // Changed or removed meanwhile: the browser does not give its bytes any more.
    const frame = new DataView(new ArrayBuffer(5));
    frame.setUint8(0, 'E'.charCodeAt(0));
    frame.setUint32(1, request);
    if (to.readyState === WebSocket.OPEN) to.send(frame.buffer);
    stopFeed('The file was changed, moved or removed while the host read it. Choose it again.');
  }
}
