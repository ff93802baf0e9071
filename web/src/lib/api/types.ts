// The shapes of the server's answers, named by the project's own words.

export type PrincipalKind = 'person' | 'bot' | 'imported' | 'group' | 'system';

export interface Principal {
  id: number;
  name: string;
  display_name: string;
  kind: PrincipalKind;
}

export type Person = Principal;

export interface Limits {
  message_chars: number;
  story_title_chars: number;
  story_chars: number;
  file_bytes: number;
  files_per_message: number;
  history_default: number;
  history_max: number;
  roster: number;
  edit_window_seconds: number;
  search_page: number;
}

export interface ServerInfo {
  name: string;
  version: string;
  time: string;
  needs_first_user: boolean;
  limits: Limits;
  /** Of what the server hands out; 0 of a server alone. Absent from servers that know of no sites, as what follows. */
  epoch?: number;
  /** `failed-over` while the pool goes on in the other site; null of a server alone. */
  state?: PoolState | null;
  /** The site in which the pool goes on; null where there are no sites. */
  site?: string | null;
  /** Absent from servers that know of no pools. */
  standing?: Standing;
  /** Where the servers are reached that take clients; empty for a server alone. */
  servers?: string[];
  /** Where the pool's other servers are reached, which may take clients one day. */
  others?: string[];
}

export type PoolState = 'normal' | 'failed-over';

export type Standing = 'alone' | 'active' | 'standby' | 'draining';

export interface PoolServer {
  name: string;
  address: string;
  standing: 'active' | 'standby' | 'draining' | 'stopped' | 'silent';
  /** On the list of those that take clients. */
  active: boolean;
  this: boolean;
  version: string;
  started_at: string;
  seen_ms_ago: number;
  connections: number;
  people: number;
  round_trip_ms: number;
}

export interface Pool {
  epoch: number;
  state: PoolState;
  site: string | null;
  /** The instance that took the epoch. */
  holder: string | null;
  chosen: boolean;
  database: { engine: string | null; location: string | null; condition: string; round_trip_ms: number | null };
  servers: PoolServer[];
}

/** One of these at a time. */
export type ActiveChange = { add: string[] } | { remove: string[] } | { swap: { out: string; in: string } };

export interface Notify {
  messages: 'all' | 'mentions' | 'none';
  desktop: boolean;
  sound: boolean;
}

export type Theme = 'system' | 'light' | 'dark';
export type Density = 'comfortable' | 'compact';
export type Language = 'en' | 'de';

export interface Preferences {
  language: Language | null;
  theme: Theme;
  density: Density;
  notify: Notify;
  rooms: Record<string, Notify>;
}

export type Scope = 'read' | 'post' | 'manage' | 'admin';

export interface Me extends Person {
  admin: boolean;
  may_chat: boolean;
  may_create_rooms: boolean;
  preferences: Preferences;
  scopes: Scope[] | null;
}

export interface Category {
  id: number;
  name: string;
  description: string;
  allowed?: Principal[];
  denied?: Principal[];
  creators?: Principal[];
  invitations: boolean;
  file_upload: boolean;
  history: boolean;
  rooms: number;
  can: ('edit' | 'delete' | 'create_room')[];
}

export type RoomRight =
  | 'join'
  | 'read'
  | 'history'
  | 'post'
  | 'upload'
  | 'configure'
  | 'members'
  | 'disable'
  | 'enable'
  | 'move'
  | 'delete'
  | 'remove_messages'
  | 'clear';

export type RoomType = 'normal' | 'auditorium';
export type Privacy = 'open' | 'closed' | 'secret';

export interface Room {
  id: number;
  category: { id: number; name: string };
  name: string;
  description: string;
  subject: string;
  type: RoomType;
  privacy: Privacy;
  invitations: 'inherit' | 'off';
  add_in_url: string | null;
  disabled: boolean;
  created_at: string;
  head: number;
  messages: number;
  last_message_at: string | null;
  present: number;
  me: {
    member: boolean;
    manager: boolean;
    presenter: boolean;
    followed: boolean;
    read: number;
    unread: number;
    mentions: number;
  };
  can: RoomRight[];
}

export interface FileInfo {
  id: string;
  name: string;
  bytes: number;
  type: string;
  width?: number;
  height?: number;
  thumbnail: boolean;
}

export interface MessageBody {
  text: string;
  title: string | null;
  alert: boolean;
  action: boolean;
  files: FileInfo[];
  mentions: number[];
}

export interface Removed {
  how: 'retracted' | 'removed' | 'purged';
  at: string;
  by: Person;
  reason: string | null;
  replacement: string | null;
  seq: number;
}

interface EntryBase {
  room: number;
  seq: number;
  at: string;
  recorded_at: string;
  author: Person;
  client_id: string | null;
}

export interface MessageEntry extends EntryBase {
  kind: 'message';
  message: MessageBody | null;
  edited: { at: string; seq: number } | null;
  removed: Removed | null;
}

/** What was written, with the epoch under which. */
export type PostedEntry = MessageEntry & { epoch: number };

/** What a message is from now on. */
export interface Edit {
  of: number;
  text: string;
  title: string | null;
  /** Null when that has not changed. */
  action: boolean | null;
  /** All that it has; null when they have not changed. */
  files: FileInfo[] | null;
  mentions: number[];
}

export interface EditEntry extends EntryBase {
  kind: 'edit';
  /** Null when what it said has been erased since. */
  edit: Edit | null;
}

export interface RetractionEntry extends EntryBase {
  kind: 'retraction';
  of: number;
}

export interface RemovalEntry extends EntryBase {
  kind: 'removal';
  of: number[];
  reason: string | null;
  replacement: string | null;
}

export interface PurgeEntry extends EntryBase {
  kind: 'purge';
  through: number;
}

export interface SubjectEntry extends EntryBase {
  kind: 'subject';
  subject: string;
}

export interface ChangeEntry extends EntryBase {
  kind: 'room-created' | 'room-changed' | 'roles-changed';
  changes?: string[];
}

/** Something that only XMPP clients make sense of. Nothing to show. */
export interface AnnotationEntry extends EntryBase {
  kind: 'annotation';
}

export type Entry =
  MessageEntry | EditEntry | RetractionEntry | RemovalEntry | PurgeEntry | AnnotationEntry | SubjectEntry | ChangeEntry;

export interface Page {
  room: number;
  /** Under which the entries were read. */
  epoch: number;
  entries: Entry[];
  head: number;
  more_before: boolean;
  more_after: boolean;
  focus?: number;
}

export interface Version {
  seq: number;
  at: string;
  author: Person;
  text: string;
  title: string | null;
  files: FileInfo[];
}

export interface Roster {
  count: number;
  limited: boolean;
  people: Person[];
}

export interface Roles {
  members: Principal[];
  managers: Principal[];
  presenters: Principal[];
}

export type RoleName = keyof Roles;
export type RolesChange = Partial<Record<RoleName, { add?: number[]; remove?: number[] }>>;

export interface Fragment {
  text: string;
  match: boolean;
}

export interface Hit {
  room: { id: number; name: string };
  entry: Entry;
  fragments: Fragment[];
}

export interface Hits {
  items: Hit[];
  next: string | null;
  exceeded?: boolean;
}

export interface Feed {
  id: number;
  name: string;
  words: string[];
  match: 'any' | 'all';
  authors: Person[];
  rooms: number[];
  notify: boolean;
}

/** What is known of an outage. */
export interface Outage {
  planned: boolean;
  beginning: string;
  expected_end: string | null;
  message: string;
  own: boolean;
}

export interface Invitation {
  id: number;
  room: { id: number; name: string };
  by: Person;
  at: string;
  seen: boolean;
}

export interface SessionInfo {
  id: string | number;
  created_at: string;
  last_seen_at: string;
  expires_at: string;
  agent: string;
  address: string;
  current: boolean;
}

export interface Token {
  id: string | number;
  label: string;
  scopes: Scope[];
  created_at: string;
  last_used_at?: string | null;
  expires_at: string | null;
  secret?: string;
}

export interface User extends Person {
  admin: boolean;
  disabled: boolean;
  may_chat: boolean | null;
  created_at: string;
  last_seen_at: string | null;
  locked_until: string | null;
}

export interface Group extends Principal {
  members: Principal[];
  may_chat: boolean | null;
}

export interface AuditEntry {
  seq: number;
  at: string;
  author: Person;
  action: string;
  summary: string;
}

export interface Webhook {
  id: string | number;
  label: string;
  created_at: string;
}

export interface MadeWebhook extends Webhook {
  url: string;
  secret: string;
}

export interface RoomFile {
  file: FileInfo;
  seq: number;
  at: string;
  author: Person;
}

export interface List<T> {
  items: T[];
  next: string | null;
}

export interface WhatIf {
  what_if: true;
  changes: string[];
}

export interface RemoveMessages {
  author?: number;
  from?: string;
  to?: string;
  words?: string;
  match?: 'all' | 'any' | 'exact';
  case_sensitive?: boolean;
  replace_with?: string;
  reason: string;
  erase?: boolean;
}
