// The live connection of this page, and where each of its frames goes.

import { api, current, Problem, type Entry, type Invitation } from '../api';
import type { ServerFrame } from '../live/events';
import { LiveConnection, type Socket, type Status } from '../live/connection';
import { liveAddress } from '../pool/addresses';
import { isMessage } from '../timeline/window';
import { t } from '../i18n';
import { cutSentence } from '../ui/cut';
import { said } from '../ui/said.svelte';
import { feeds } from './feeds.svelte';
import { notices } from './notices.svelte';
import { notifyOf } from './notify';
import { outbox } from './outbox.svelte';
import { people } from './people.svelte';
import { pool } from './pool.svelte';
import { forgetViews, heldView } from './room.svelte';
import { rooms } from './rooms.svelte';
import { session } from './session.svelte';

class Live {
  status = $state.raw<Status>({ state: 'idle' });
  invitations = $state.raw<readonly Invitation[]>([]);
  /** The room on the screen: it is joined also when it is not followed. */
  #open: number | null = null;
  #typedAt = 0;
  /** Rooms joined without saying where one is: what came between their page and the join must be fetched. */
  #fromNow = new Set<number>();
  #welcomed = false;
  /** The epoch of the server that this page is connected to. */
  #epoch = 0;
  /** Rooms whose server was told what is held of them from an earlier epoch: it says what of that is still so. */
  #compared = new Set<number>();

  #connection = new LiveConnection(
    {
      open: () => new WebSocket(liveAddress(current.base, location)) as unknown as Socket,
      now: () => Date.now(),
      random: () => Math.random(),
      later: (milliseconds, run) => {
        const timer = setTimeout(run, milliseconds);
        return () => clearTimeout(timer);
      },
    },
    {
      status: (status) => (this.status = status),
      frame: (frame) => this.#receive(frame),
      accepts: (epoch, site) => pool.meets(epoch, site),
      cursor: (room) => {
        const cursor = heldView(room)?.cursor(this.#epoch) ?? null;
        if (cursor === null) this.#fromNow.add(room);
        else this.#fromNow.delete(room);
        if (cursor !== null && cursor.epoch < this.#epoch) this.#compared.add(room);
        return cursor;
      },
      refused: () => void this.#askWhetherSignedIn(),
    },
  );

  async start(): Promise<() => void> {
    const online = () => this.#connection.hurry();
    const offline = () => this.#connection.lost();
    addEventListener('online', online);
    addEventListener('offline', offline);
    const endWatch = pool.start();
    pool.onMoved = () => this.#connection.renew();
    outbox.onAccepted = (entry) => heldView(entry.room)?.accepted(entry);
    outbox.start(session.me.id);
    this.#welcomed = false;
    this.#epoch = 0;
    await rooms.load();
    this.#connection.join(rooms.followed());
    this.#connection.start();
    void this.loadInvitations();
    void feeds.load();
    return () => {
      removeEventListener('online', online);
      removeEventListener('offline', offline);
      endWatch();
      pool.onMoved = () => {};
      this.#connection.stop();
      outbox.stop();
      rooms.forget();
      feeds.forget();
      forgetViews();
      this.invitations = [];
      this.#open = null;
    };
  }

  hurry(): void {
    this.#connection.hurry();
  }

  /** Says which room is on the screen, or that none is. */
  watch(room: number | null): void {
    const before = this.#open;
    this.#open = room;
    if (before !== null && before !== room && !rooms.get(before)?.me.followed) this.#connection.leave(before);
    if (room !== null) this.#connection.join([room]);
  }

  /** After following or leaving rooms: join and leave what changed. */
  followedChanged(): void {
    this.#connection.join(rooms.followed());
  }

  unfollowed(room: number): void {
    if (room !== this.#open) this.#connection.leave(room);
  }

  typing(room: number): void {
    const now = Date.now();
    if (now - this.#typedAt < 3000) return;
    this.#typedAt = now;
    this.#connection.send({ type: 'typing', room });
  }

  /** What was being written has been sent: the next letter is news again. */
  typed(): void {
    this.#typedAt = 0;
  }

  async loadInvitations(): Promise<void> {
    try {
      this.invitations = (await api.invitations()).items;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
    }
  }

  async #askWhetherSignedIn(): Promise<void> {
    try {
      await api.me();
    } catch (problem) {
      // Signed out is dealt with where all answers come in; anything else is what the connection already shows.
      if (!(problem instanceof Problem)) throw problem;
    }
  }

  #receive(frame: ServerFrame): void {
    switch (frame.type) {
      case 'welcome':
        // A server alone, or one that a person insisted on: what was seen elsewhere may be no more.
        if (frame.epoch < this.#epoch) this.#anew();
        this.#epoch = frame.epoch;
        this.#compared.clear();
        if (this.#welcomed) void this.#caughtUp();
        this.#welcomed = true;
        notices.outageIs(frame.outage ?? null);
        pool.arrived();
        outbox.hurry();
        // The joins go out with this welcome, and what they say is not to be asked for.
        setTimeout(() => void outbox.look(this.#epoch, (room) => this.#compared.has(room)));
        return;
      case 'joined': {
        people.meet(frame.roster.people);
        rooms.present(frame.room, frame.roster.count);
        const view = heldView(frame.room);
        view?.joined(frame.epoch);
        if (this.#compared.delete(frame.room)) outbox.joined(frame.room, frame.epoch);
        if (view) {
          view.roster = frame.roster;
          view.kicked = null;
          if (this.#fromNow.has(frame.room)) view.headIs(frame.head);
        }
        return;
      }
      case 'refused': {
        const view = heldView(frame.room);
        if (view && frame.room === this.#open) view.kicked = frame.problem.detail || frame.problem.title;
        return;
      }
      case 'entry':
        this.#entry(frame.entry);
        return;
      case 'cut':
        this.#cut(frame);
        return;
      case 'gap':
        heldView(frame.room)?.gap(frame.head);
        void rooms.refresh(frame.room).catch(() => {});
        return;
      case 'presence':
        people.meet(frame.joined);
        rooms.present(frame.room, frame.count);
        heldView(frame.room)?.arrivals(frame.joined, frame.left, frame.count, frame.limited);
        return;
      case 'typing':
        heldView(frame.room)?.someoneTypes(frame.person);
        return;
      case 'read':
        rooms.setRead(frame.room, frame);
        return;
      case 'room':
        void rooms.refresh(frame.room).catch(() => {});
        return;
      case 'kicked': {
        const view = heldView(frame.room);
        if (view) view.kicked = frame.reason;
        const name = rooms.get(frame.room)?.name;
        if (name) said.fault(t('live.kicked', { room: name, reason: frame.reason }));
        void rooms.load();
        return;
      }
      case 'rooms':
        void rooms.load().then(() => this.followedChanged());
        return;
      case 'invitation':
        this.invitations = [
          frame.invitation,
          ...this.invitations.filter((invitation) => invitation.id !== frame.invitation.id),
        ];
        said.done(
          t('invitations.arrived', { room: frame.invitation.room.name, name: frame.invitation.by.display_name }),
        );
        return;
      case 'feed':
        feeds.hit(frame.feed);
        return;
      case 'outage':
        notices.outageIs(frame.outage);
        return;
      case 'announcement':
        notices.announced(frame.text);
        return;
      case 'problem':
        said.fault(frame.problem.detail || frame.problem.title);
        return;
      case 'bye':
        if (frame.reason === 'session-ended') session.lost();
        if (frame.reason === 'moved') pool.sentAway(frame.servers ?? []);
        return;
    }
  }

  #entry(entry: Entry): void {
    people.meet([entry.author]);
    const view = heldView(entry.room);
    const room = rooms.get(entry.room);
    if (entry.kind === 'subject') rooms.subject(entry.room, entry.subject);
    const mine = entry.author.id === session.me.id;
    const fresh = !room || entry.seq > room.head;
    const watched = view?.watched === true && entry.room === this.#open;
    view?.receive(entry);
    if (!isMessage(entry)) {
      rooms.moved(entry.room, entry.seq);
      return;
    }
    if (mine) {
      rooms.moved(entry.room, entry.seq);
      return;
    }
    const mentioned = entry.message?.mentions.includes(session.me.id) ?? false;
    rooms.countUnread(entry.room, entry.seq, entry.at, mentioned);
    if (fresh && entry.message && room) notifyOf({ entry, room, mentioned, watched, open: entry.room === this.#open });
  }

  /** Of what this page has of a room, not everything is there any more. */
  #cut(frame: Extract<ServerFrame, { type: 'cut' }>): void {
    const { room, epoch, valid_through: through, lost } = frame;
    if (through !== null) {
      outbox.cut(room, epoch, through);
      this.#compared.delete(room);
    }
    const view = heldView(room);
    view?.cut(epoch, through, lost, pool.movedTo !== null);
    const note = view?.cuts.at(-1);
    if (note?.epoch === epoch && room === this.#open) said.politely(cutSentence(note));
    if (through === null && view) this.#fromNow.add(room);
    void rooms.refresh(room).catch(() => {});
  }

  /** What was seen may be no more: rooms are read again, and the one on the screen at once. */
  #anew(): void {
    const open = this.#open === null ? undefined : heldView(this.#open);
    forgetViews(open);
    void open?.anew();
  }

  /** Counts may be wrong after an absence, and rooms that are not live say nothing of what was missed. */
  async #caughtUp(): Promise<void> {
    await rooms.load();
    this.followedChanged();
    void this.loadInvitations();
  }
}

export const live = new Live();
