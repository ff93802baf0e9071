// Every call that the client makes, one line each, so that the whole conversation with the server can be read here.
import { current } from './base.svelte';
import { call, get, readiness, upload, url, type Query } from './http';
import type * as T from './types';

export * from './types';
export { Problem } from './problem';
export { onSignedOut, onTrouble } from './http';
export { current };

type WithId = { id: number };

export const api = {
  server: () => get<T.ServerInfo>('/server'),
  /** Whether a server takes clients; `base` may be another than the current one. */
  ready: (base: string, signal: AbortSignal) => readiness(base, signal),

  signIn: (name: string, password: string) => call<T.Me>('POST', '/session', { name, password }),
  signOut: () => call<void>('DELETE', '/session'),
  firstUser: (body: { name: string; password: string; display_name?: string; code: string }) =>
    call<T.Me>('POST', '/first-user', body),

  me: () => get<T.Me>('/me'),
  changeMe: (body: { display_name: string }) => call<T.Me>('PATCH', '/me', body),
  putPreferences: (body: T.Preferences) => call<T.Preferences>('PUT', '/me/preferences', body),
  changePassword: (current: string, fresh: string) => call<void>('POST', '/me/password', { current, new: fresh }),
  sessions: () => get<T.List<T.SessionInfo>>('/me/sessions'),
  endSession: (id: string | number) => call<void>('DELETE', `/me/sessions/${id}`),
  tokens: () => get<T.List<T.Token>>('/me/tokens'),
  makeToken: (body: { label: string; scopes: T.Scope[]; expires_at?: string }) =>
    call<T.Token>('POST', '/me/tokens', body),
  endToken: (id: string | number) => call<void>('DELETE', `/me/tokens/${id}`),

  myRooms: () => get<T.List<T.Room>>('/me/rooms'),
  follow: (room: number) => call<void>('PUT', `/me/followed/${room}`),
  followAll: (ids: number[]) => call<unknown>('POST', '/me/followed', { rooms: ids }),
  unfollow: (room: number) => call<void>('DELETE', `/me/followed/${room}`),
  markRead: (room: number, seq: number) =>
    call<{ seq: number; unread: number; mentions: number }>('PUT', `/rooms/${room}/read`, { seq }),
  invitations: () => get<T.List<T.Invitation>>('/me/invitations'),
  invitationSeen: (id: number) => call<void>('POST', `/me/invitations/${id}/seen`),
  dismissInvitation: (id: number) => call<void>('DELETE', `/me/invitations/${id}`),
  mentions: (cursor?: string | null) => get<T.Hits>('/me/mentions', { cursor }),
  feeds: () => get<T.List<T.Feed>>('/me/feeds'),
  makeFeed: (body: FeedDraft) => call<T.Feed>('POST', '/me/feeds', body),
  changeFeed: (id: number, body: FeedDraft) => call<T.Feed>('PUT', `/me/feeds/${id}`, body),
  deleteFeed: (id: number) => call<void>('DELETE', `/me/feeds/${id}`),
  feedEntries: (id: number, cursor?: string | null) => get<T.Hits>(`/me/feeds/${id}/entries`, { cursor }),

  categories: () => get<T.List<T.Category>>('/categories'),
  makeCategory: (body: CategoryDraft) => call<T.Category>('POST', '/categories', body),
  changeCategory: (id: number, body: Partial<CategoryDraft>) => call<T.Category>('PATCH', `/categories/${id}`, body),
  deleteCategory: (id: number) => call<void>('DELETE', `/categories/${id}`),

  rooms: (query: Query, signal?: AbortSignal) => get<T.List<T.Room>>('/rooms', query, signal),
  room: (id: number) => get<T.Room>(`/rooms/${id}`),
  makeRoom: (body: RoomDraft) => call<T.Room>('POST', '/rooms', body),
  changeRoom: (id: number, body: RoomChange) => call<T.Room>('PATCH', `/rooms/${id}`, body),
  whatIfRoom: (id: number, body: RoomChange) => call<T.WhatIf>('PATCH', `/rooms/${id}`, body, { what_if: true }),
  deleteRoom: (id: number) => call<void>('DELETE', `/rooms/${id}`),
  roles: (id: number) => get<T.Roles>(`/rooms/${id}/roles`),
  changeRoles: (id: number, body: T.RolesChange) => call<T.Roles>('PATCH', `/rooms/${id}/roles`, body),
  eligible: (id: number, q: string, signal?: AbortSignal) =>
    get<T.List<T.Principal>>(`/rooms/${id}/eligible`, { q }, signal),
  roster: (id: number) => get<T.Roster>(`/rooms/${id}/roster`),
  nameFree: (kind: 'room' | 'category', name: string) =>
    get<{ free: boolean; reason?: string }>('/name-check', { [kind]: name }),
  principals: (query: Query, signal?: AbortSignal) => get<T.List<T.Principal>>('/principals', query, signal),

  entries: (room: number, query: Query) => get<T.Page>(`/rooms/${room}/entries`, query),
  entry: (room: number, seq: number) => get<T.Entry>(`/rooms/${room}/entries/${seq}`),
  versions: (room: number, seq: number) => get<T.List<T.Version>>(`/rooms/${room}/entries/${seq}/versions`),
  post: (room: number, body: MessageDraft) => call<T.PostedEntry>('POST', `/rooms/${room}/messages`, body),
  edit: (room: number, seq: number, body: { client_id: string; text: string; title?: string }) =>
    call<T.EditEntry>('PATCH', `/rooms/${room}/messages/${seq}`, body),
  remove: (room: number, seq: number, query: { client_id: string; reason?: string }) =>
    call<T.Entry>('DELETE', `/rooms/${room}/messages/${seq}`, undefined, query),
  removeMany: (room: number, body: T.RemoveMessages) =>
    call<{ matched: number; removed: number; seqs: number[] }>('POST', `/rooms/${room}/messages/remove`, body),
  whatIfRemoveMany: (room: number, body: T.RemoveMessages) =>
    call<T.WhatIf>('POST', `/rooms/${room}/messages/remove`, body, { what_if: true }),
  clear: (room: number, through: string) => call<{ cleared: number }>('POST', `/rooms/${room}/clear`, { through }),
  search: (query: Query, signal?: AbortSignal) => get<T.Hits>('/search', query, signal),

  upload: (room: number, file: File, progress: (share: number) => void) =>
    upload<T.FileInfo>(`/rooms/${room}/files`, { name: file.name }, file, progress),
  roomFiles: (room: number, cursor?: string | null) => get<T.List<T.RoomFile>>(`/rooms/${room}/files`, { cursor }),
  fileUrl: (id: string, download = false) => url(`/files/${id}`, download ? { download: 1 } : {}),
  /** What an `img` needs; from another server than the page's own a picture comes only if it is asked for as a script would. */
  thumbnail: (id: string) => ({
    crossorigin: current.base === '' ? null : ('use-credentials' as const),
    src: url(`/files/${id}/thumbnail`),
  }),

  users: (query: Query, signal?: AbortSignal) => get<T.List<T.User>>('/users', query, signal),
  makeUser: (body: UserDraft) => call<T.User & WithId>('POST', '/users', body),
  changeUser: (id: number, body: UserChange) => call<T.User>('PATCH', `/users/${id}`, body),
  deleteUser: (id: number) => call<void>('DELETE', `/users/${id}`),
  setPassword: (id: number, fresh: string) => call<void>('POST', `/users/${id}/password`, { new: fresh }),
  endUserSessions: (id: number) => call<void>('DELETE', `/users/${id}/sessions`),
  groups: () => get<T.List<T.Group>>('/groups'),
  makeGroup: (body: { name: string; display_name?: string; members?: number[] }) =>
    call<T.Group>('POST', '/groups', body),
  changeGroup: (id: number, body: GroupChange) => call<T.Group>('PATCH', `/groups/${id}`, body),
  deleteGroup: (id: number) => call<void>('DELETE', `/groups/${id}`),
  pool: () => get<T.Pool>('/pool'),
  changeActive: (change: T.ActiveChange, far: boolean) => call<T.Pool>('POST', '/pool/active', { ...change, far }),
  whatIfActive: (change: T.ActiveChange, far: boolean) =>
    call<T.WhatIf>('POST', '/pool/active', { ...change, far, what_if: true }),
  forgetServer: (name: string) => call<void>('DELETE', `/pool/servers/${encodeURIComponent(name)}`),
  audit: (cursor?: string | null) => get<T.List<T.AuditEntry>>('/audit', { cursor }),
  webhooks: (room: number) => get<T.List<T.Webhook>>(`/rooms/${room}/webhooks`),
  makeWebhook: (room: number, label: string) => call<T.MadeWebhook>('POST', `/rooms/${room}/webhooks`, { label }),
  endWebhook: (room: number, id: string | number) => call<void>('DELETE', `/rooms/${room}/webhooks/${id}`),
};

export interface MessageDraft {
  client_id: string;
  text: string;
  title?: string;
  alert?: boolean;
  files?: string[];
  /** The latest epoch that was heard of: a server that was left behind refuses. */
  epoch?: number;
}

export interface FeedDraft {
  name: string;
  words: string[];
  match: 'any' | 'all';
  authors: number[];
  rooms: number[];
  notify: boolean;
}

export interface CategoryDraft {
  name: string;
  description?: string;
  allowed?: number[];
  denied?: number[];
  creators?: number[];
  invitations?: boolean;
  file_upload?: boolean;
  history?: boolean;
}

export interface RoomDraft {
  category: number;
  name: string;
  description?: string;
  subject?: string;
  type?: T.RoomType;
  privacy?: T.Privacy;
  invitations?: 'inherit' | 'off';
  add_in_url?: string;
  members?: number[];
  managers?: number[];
  presenters?: number[];
}

export type RoomChange = Partial<{
  name: string;
  description: string;
  subject: string;
  type: T.RoomType;
  privacy: T.Privacy;
  invitations: 'inherit' | 'off';
  add_in_url: string | null;
  disabled: boolean;
  category: number;
}>;

export interface UserDraft {
  name: string;
  display_name?: string;
  password?: string;
  admin?: boolean;
  kind?: 'person' | 'bot';
}

export type UserChange = Partial<{
  name: string;
  display_name: string;
  admin: boolean;
  disabled: boolean;
  may_chat: boolean | null;
}>;

export type GroupChange = Partial<{
  name: string;
  display_name: string;
  may_chat: boolean | null;
  members: { add?: number[]; remove?: number[] };
}>;
