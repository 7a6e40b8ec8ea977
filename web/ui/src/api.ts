// Redfish, and the tree below its Oem branch: the only way the page talks to the service processor.

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface PropertyValue {
  /** null: there is none, or it is secret; absent where there may be several */
  Value?: unknown;
  Values?: string[];
  Text: string;
}

export interface PropertyDescription {
  Name: string;
  Doc: string;
  Type: string;
  Values: string[];
  WriteRole: string;
  Readable: boolean;
  Secret: boolean;
  Required: boolean;
  Question: string;
}

export interface VerbDescription {
  Name: string;
  Doc: string;
  Role: string;
  Question: string;
  ForceQuestion: string;
  Properties: PropertyDescription[];
}

export interface TargetView {
  Path: string;
  Name: string;
  Properties?: Record<string, PropertyValue>;
  Targets?: TargetView[];
  Text?: string;
  Table?: { Title: string; Columns: string[]; Rows: { Cells: string[] }[] };
  Description?: {
    Doc: string;
    Properties: PropertyDescription[];
    Verbs: VerbDescription[];
    Targets: Record<string, string>;
  };
}

type Json = Record<string, unknown>;

let onUnauthorized: () => void = () => {};

/** Called once, with what to do when the session has ended. */
export function whenUnauthorized(action: () => void): void {
  onUnauthorized = action;
}

interface ErrorBody {
  error?: { '@Message.ExtendedInfo'?: { Message?: string; Resolution?: string }[] };
}

/** lomd's own sentence, which says what to do next; else Redfish's. */
function sentenceOf(status: number, body: unknown): string {
  const infos = (body as ErrorBody | null)?.error?.['@Message.ExtendedInfo'] ?? [];
  const said = infos.map((info) => info.Resolution || info.Message || '').filter(Boolean);
  if (said.length > 0) return said.join(' ');
  if (status === 503) return 'The service processor restarts. Try again in a few seconds.';
  return `The service processor answered with status ${status}. Reload the page and try again.`;
}

export async function request<T>(method: string, path: string, body?: Json): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: 'same-origin',
      headers: {
        'X-Requested-With': 'page',
        ...(body ? { 'Content-Type': 'application/json' } : {}),
      },
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch {
    throw new ApiError(0, 'The service processor cannot be reached. Check the network and try again.');
  }
  const text = await response.text();
  let answer: unknown = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    /* an answer without JSON is judged by its status */
  }
  if (response.ok) return answer as T;
  if (response.status === 401 && !path.endsWith('/Sessions')) onUnauthorized();
  throw new ApiError(response.status, sentenceOf(response.status, answer));
}

const tree = '/redfish/v1/Oem/OpenLOM/Tree';

export const show = (path: string, depth = 1): Promise<TargetView> =>
  request('GET', `${tree}${path}?depth=${depth}&describe=1`);

/** A target's text with all that a terminal would obey. */
export const rawText = async (path: string): Promise<string> =>
  (await request<TargetView>('GET', `${tree}${path}?raw`)).Text ?? '';

interface SetAnswer {
  Set: { Property: string; Text: string; Message: string }[];
  '@Message.ExtendedInfo'?: { Message?: string; Resolution?: string }[];
}

/** Sets in order. What was refused is an error, even where something else was set. */
export async function set(path: string, values: Record<string, unknown>): Promise<string> {
  const answer = await request<SetAnswer>('PATCH', tree + path, values);
  const refused = answer['@Message.ExtendedInfo'];
  if (refused?.length) throw new ApiError(400, sentenceOf(400, { error: answer }));
  return answer.Set.map((one) => one.Message)
    .filter(Boolean)
    .join(' ');
}

export async function run(
  path: string,
  verb: string,
  options: { force?: boolean; properties?: Record<string, unknown> } = {},
): Promise<string> {
  const answer = await request<{ Message?: string } | null>('POST', tree + path, {
    Verb: verb,
    Force: options.force ?? false,
    Properties: options.properties ?? {},
  });
  return answer?.Message ?? '';
}

export const text = (view: TargetView | null | undefined, property: string): string => {
  const value = view?.Properties?.[property];
  if (!value || value.Value === null) return '';
  return value.Text;
};

export const child = (view: TargetView | null | undefined, name: string): TargetView | undefined =>
  view?.Targets?.find((target) => target.Name === name);
