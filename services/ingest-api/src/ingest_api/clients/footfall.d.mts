/** Fields of an event; names that are no fields become properties. */
export interface Fields {
  account?: string | number;
  anonymous_id?: string;
  id?: string;
  time?: Date | string | number;
  properties?: Record<string, unknown>;
  traits?: Record<string, unknown>;
  context?: Record<string, unknown>;
  [property: string]: unknown;
}

/** Begins to send, with a write key; `host` is where the module came from when missing. */
export function init(options: { key: string; host?: string }): void;

/** The user did this: null is who was identified last, else this browser's visitor. Returns the event's id. */
export function track(user: string | number | null, action: string, fields?: Fields): string;

/** The user saw this page: its address and title, unless others are given. */
export function page(fields?: Fields): string;

/** This is known of the user, who from now on is meant by null. */
export function identify(user: string | number, traits?: Record<string, unknown>): string;

/** The user belongs to this account, of which this is known. */
export function group(account: string | number, traits?: Record<string, unknown>): string;

/** Who was `previous_id` so far is this user. */
export function alias(user: string | number, previous_id: string | number): string;

/** Sends what waits now, unless something is under way; resolves when the request is answered. */
export function flush(): Promise<void>;
